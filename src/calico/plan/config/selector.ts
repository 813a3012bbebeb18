/**
 * Calico's selectors over labels: `has(a) && b == 'c' || !(d in {'e', 'f'})`. `||` binds loosest, then `&&`, then `!`. An absent label
 * satisfies `!=` and `not in`, and no other comparison. The empty text selects everything, as in Calico.
 */
import { quoted } from '../../model/problem.ts';
import { type Token, tokenize } from './selector-tokens.ts';

/** Its meaning as data: it can be compared and kept. */
export type Selector =
  | { readonly op: 'all' }
  | { readonly op: 'has'; readonly label: string }
  | {
      readonly op: '==' | '!=' | 'contains' | 'starts with' | 'ends with';
      readonly label: string;
      readonly value: string;
    }
  | { readonly op: 'in' | 'not in'; readonly label: string; readonly values: readonly string[] }
  | { readonly op: 'not'; readonly of: Selector }
  | { readonly op: 'and' | 'or'; readonly of: readonly Selector[] };

export interface SelectorError {
  /** What is wrong, and where. */
  readonly error: string;
}

/** Nested deeper than anybody means it; the parser calls itself. */
const MAX_DEPTH = 100;

export function parseSelector(text: string): Selector | SelectorError {
  const tokens = tokenize(text);
  if ('error' in tokens) return tokens;
  if (tokens.length === 1) return { op: 'all' };
  const parser = new Parser(tokens);
  const selector = parser.or(0);
  if ('error' in selector) return selector;
  return parser.next.kind === 'end' ? selector : parser.unexpected('&&, || or the end');
}

export function matches(selector: Selector, labels: Readonly<Record<string, string>>): boolean {
  switch (selector.op) {
    case 'all':
      return true;
    case 'and':
      return selector.of.every(each => matches(each, labels));
    case 'or':
      return selector.of.some(each => matches(each, labels));
    case 'not':
      return !matches(selector.of, labels);
  }
  // labels are somebody's: __proto__ and constructor are no labels unless they are said
  const value = Object.hasOwn(labels, selector.label) ? labels[selector.label] : undefined;
  switch (selector.op) {
    case 'has':
      return value !== undefined;
    case '==':
      return value === selector.value;
    case '!=':
      return value !== selector.value;
    case 'contains':
      return value?.includes(selector.value) ?? false;
    case 'starts with':
      return value?.startsWith(selector.value) ?? false;
    case 'ends with':
      return value?.endsWith(selector.value) ?? false;
    case 'in':
      return value !== undefined && selector.values.includes(value);
    case 'not in':
      return value === undefined || !selector.values.includes(value);
  }
}

class Parser {
  readonly #tokens: readonly Token[];
  #at = 0;

  constructor(tokens: readonly Token[]) {
    this.#tokens = tokens;
  }

  /** The last one is the end, beyond which nothing is. */
  get next(): Token {
    return this.#tokens[this.#at]!;
  }

  or(depth: number): Selector | SelectorError {
    return this.#chain('||', 'or', () => this.#and(depth));
  }

  unexpected(wanted: string): SelectorError {
    const { kind, text, at } = this.next;
    return { error: `${wanted} expected at character ${at + 1}, not ${kind === 'end' ? 'the end' : quoted(text)}` };
  }

  #and(depth: number): Selector | SelectorError {
    return this.#chain('&&', 'and', () => this.#operation(depth));
  }

  #chain(separator: '&&' | '||', op: 'and' | 'or', part: () => Selector | SelectorError): Selector | SelectorError {
    const parts: Selector[] = [];
    do {
      const found = part();
      if ('error' in found) return found;
      parts.push(found);
    } while (this.#take(separator));
    return parts.length === 1 ? parts[0]! : { op, of: parts };
  }

  #operation(depth: number): Selector | SelectorError {
    if (depth > MAX_DEPTH) return { error: `parentheses are nested deeper than ${MAX_DEPTH}` };
    let negated = false;
    while (this.#take('!')) negated = !negated;
    const found = this.#positive(depth);
    return negated && !('error' in found) ? { op: 'not', of: found } : found;
  }

  #positive(depth: number): Selector | SelectorError {
    const token = this.next;
    switch (token.kind) {
      case '(': {
        this.#at++;
        const inside = this.or(depth + 1);
        if ('error' in inside) return inside;
        return this.#take(')') ? inside : this.unexpected(')');
      }
      case 'all':
      case 'global':
        // that `global()` means what has no namespace is for namespaceSelectors alone: elsewhere it is true of all
        this.#at++;
        return { op: 'all' };
      case 'has':
        this.#at++;
        return { op: 'has', label: token.text };
      case 'label':
        this.#at++;
        return this.#comparison(token.text);
      default:
        return this.unexpected('a label, has(), all() or (');
    }
  }

  #comparison(label: string): Selector | SelectorError {
    const { kind } = this.next;
    switch (kind) {
      case '==':
      case '!=':
      case 'contains':
      case 'starts with':
      case 'ends with': {
        this.#at++;
        const { kind: what, text } = this.next;
        if (what !== 'string') return this.unexpected('a text in quotes');
        this.#at++;
        return { op: kind, label, value: text };
      }
      case 'in':
      case 'not in': {
        this.#at++;
        const values = this.#set();
        return 'error' in values ? values : { op: kind, label, values };
      }
      default:
        return this.unexpected('an operator');
    }
  }

  /** A comma may follow the last. */
  #set(): readonly string[] | SelectorError {
    const values: string[] = [];
    if (!this.#take('{')) return this.unexpected('{');
    while (this.next.kind === 'string') {
      values.push(this.next.text);
      this.#at++;
      if (!this.#take(',')) break;
    }
    return this.#take('}') ? values : this.unexpected('}');
  }

  #take(kind: Token['kind']): boolean {
    if (this.next.kind !== kind) return false;
    this.#at++;
    return true;
  }
}
