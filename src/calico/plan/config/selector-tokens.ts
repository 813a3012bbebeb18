/**
 * Splits a selector into tokens. `contains`, `starts with`, `in` and the like are operators only
 * after a label, because labels may have these names.
 */
import { quoted } from '../../model/problem.ts';

export interface Token {
  readonly kind:
    | '('
    | ')'
    | '{'
    | '}'
    | ','
    | '=='
    | '!='
    | '!'
    | '&&'
    | '||'
    | 'in'
    | 'not in'
    | 'contains'
    | 'starts with'
    | 'ends with'
    | 'all'
    | 'global'
    /** `has(label)`; `text` is the label. */
    | 'has'
    | 'label'
    | 'string'
    | 'end';
  readonly text: string;
  /** Offset of the first character. */
  readonly at: number;
}

const SPACE = /[ \t]*/y;
const SIGN = /==|!=|&&|\|\||[(){},!]/y;
const STRING = /"([^"]*)"|'([^']*)'/y;
const OPERATOR = /contains|starts[ \t]*with|ends[ \t]*with|not[ \t]*in|in/y;
const CALL = /(all|global)\([ \t]*\)|has\([ \t]*([a-zA-Z0-9_./-]{1,512})[ \t]*\)/y;
const LABEL = /[a-zA-Z0-9_./-]{1,512}/y;

/** Returns the tokens, terminated by one of kind `end`, or an error that names the position. */
export function tokenize(text: string): readonly Token[] | { readonly error: string } {
  const tokens: Token[] = [];
  let at = 0;
  const take = (pattern: RegExp): RegExpExecArray | undefined => {
    pattern.lastIndex = at;
    const match = pattern.exec(text);
    if (match) at += match[0].length;
    return match ?? undefined;
  };
  for (;;) {
    take(SPACE);
    const begin = at;
    if (at === text.length) return [...tokens, { kind: 'end', text: '', at }];
    const push = (kind: Token['kind'], value: string) => tokens.push({ kind, text: value, at: begin });
    const afterLabel = tokens.at(-1)?.kind === 'label';
    const sign = take(SIGN);
    const string = sign ? undefined : take(STRING);
    if (sign) push(sign[0] as Token['kind'], sign[0]);
    else if (string) push('string', string[1] ?? string[2] ?? '');
    else if (afterLabel) {
      const operator = take(OPERATOR);
      if (!operator) return { error: `expected an operator at character ${at + 1}, not ${quoted(text.slice(at))}` };
      push(operator[0].replace(/^(starts|ends|not)[ \t]*/, '$1 ') as Token['kind'], operator[0]);
    } else {
      const call = take(CALL);
      const label = call || /^(all|global|has)\(/.test(text.slice(at, at + 7)) ? undefined : take(LABEL);
      if (call) push((call[1] as 'all' | 'global' | undefined) ?? 'has', call[2] ?? call[0]);
      else if (label) push('label', label[0]);
      else return { error: `unreadable from character ${at + 1}: ${quoted(text.slice(at))}` };
    }
  }
}
