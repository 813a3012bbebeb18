/**
 * Parses and evaluates Calico's label selectors, such as `has(a) && b == 'c' || !(d in {'e',
 * 'f'})`. `||` binds loosest, then `&&`, then `!`. If the label is missing, `!=` and `not in`
 * match, and all other comparisons fail. As in Calico, the empty selector matches everything.
 */
import { quoted } from '../../model/problem.ts';
import { type Token, tokenize } from './selector-tokens.ts';

/** A parsed selector: plain data, so it can be compared and cached. */
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
  /** Describes the mistake and its position. */
  readonly error: string;
}

/** Limits nesting because the parser recurses; no real selector is this deep. */
const MAX_DEPTH = 100;

/** Parses the text of a selector. */
export function parseSelector(text: string): Selector | SelectorError {
  const tokens = tokenize(text);
  if ('error' in tokens) return tokens;
  if (tokens.length === 1) return { op: 'all' };
  const parser = new Parser(tokens);
  const selector = parser.or(0);
  if ('error' in selector) return selector;
  return parser.next.kind === 'end' ? selector : parser.unexpected('&&, || or the end');
}

/** Returns whether the labels satisfy the selector. */
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
  // Labels are untrusted input: look up own properties only, so that __proto__ is not a match.
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

  /** The current token. The parser never advances past the final `end` token. */
  get next(): Token {
    return this.#tokens[this.#at]!;
  }

  or(depth: number): Selector | SelectorError {
    return this.#chain('||', 'or', () => this.#and(depth));
  }

  unexpected(wanted: string): SelectorError {
    const { kind, text, at } = this.next;
    return { error: `expected ${wanted} at character ${at + 1}, not ${kind === 'end' ? 'the end' : quoted(text)}` };
  }

  #and(depth: number): Selector | SelectorError {
    return this.#chain('&&', 'and', () => this.#negation(depth));
  }

  #chain(separator: '&&' | '||', op: 'and' | 'or', operand: () => Selector | SelectorError): Selector | SelectorError {
    const operands: Selector[] = [];
    do {
      const parsed = operand();
      if ('error' in parsed) return parsed;
      operands.push(parsed);
    } while (this.#take(separator));
    return operands.length === 1 ? operands[0]! : { op, of: operands };
  }

  #negation(depth: number): Selector | SelectorError {
    if (depth > MAX_DEPTH) return { error: `parentheses are nested deeper than ${MAX_DEPTH}` };
    let isNegated = false;
    while (this.#take('!')) isNegated = !isNegated;
    const operand = this.#operand(depth);
    return isNegated && !('error' in operand) ? { op: 'not', of: operand } : operand;
  }

  #operand(depth: number): Selector | SelectorError {
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
        // Only a namespaceSelector restricts `global()` to resources without a namespace; elsewhere
        // it matches everything.
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
        const { kind: operandKind, text } = this.next;
        if (operandKind !== 'string') return this.unexpected('a quoted string');
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

  /** Parses `{'a', 'b'}`; a trailing comma is allowed. */
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
