/**
 * Felix's configuration file (`/etc/calico/felix.cfg`), read as github.com/go-ini/ini 1.67 does, which is Felix's. Beside the obvious: `#` and `;` begin a
 * comment behind a value too, even in quotes; a value that ends in `\` goes on in the next line, which has no comments; values in `"""` or backticks are
 * taken as they are, over several lines; a section that comes again is the first of its name, and of two sections with a name the later one counts.
 *
 * Where that parser gives up, so that Felix does not start, the line is a Problem and ignored here. Names come out in lower case.
 */
import { type Problem, quoted } from '../../model/problem.ts';

export interface FelixFile {
  readonly parameters: ReadonlyMap<string, string>;
  readonly problems: readonly Problem[];
}

/** Go's notion of white space (unicode.IsSpace). */
const SPACE = String.raw`[\t-\r \u0085\u00a0\u1680\u2000-\u200a\u2028\u2029\u202f\u205f\u3000]`;
const LEADING = new RegExp(`^${SPACE}+`);
const TRAILING = new RegExp(`${SPACE}+$`);

class Refusal extends Error {}

export function parseFelixFile(text: string): FelixFile {
  const lines = new Lines(text.replace(/^\ufeff/, ''));
  const sections = new Map<string, Map<string, string>>([['DEFAULT', new Map()]]);
  let section = 'DEFAULT';
  let unnamed = 1;
  const problems: Problem[] = [];
  for (let raw = lines.next(); raw !== undefined; raw = lines.next()) {
    const { number } = lines;
    const line = raw.replace(LEADING, '');
    if (line === '' || /^[#;]/.test(line)) continue;
    try {
      if (line.startsWith('[')) {
        section = sectionOf(line);
        if (!sections.has(section)) sections.set(section, new Map());
        unnamed = 1;
      } else {
        const { name, rest } = nameOf(line);
        const key = name === '-' ? `#${unnamed++}` : name;
        sections.get(section)!.set(key, textOf(rest, lines));
      }
    } catch (error) {
      if (!(error instanceof Refusal)) throw error;
      lines.backTo(number);
      const message = `line ${number} is ${quoted(trim(line))}, ${error.message}; it is ignored, but Felix itself does not start with it`;
      problems.push({ object: 'File/felix.cfg', reason: 'InvalidLine', message });
    }
  }
  // of two spellings of a name one may be empty, which is as if it were not there
  const merged = [...new Map([...sections.values()].flatMap(each => [...each]))].sort((a, b) => +!!a[1] - +!!b[1]);
  return { parameters: new Map(merged.map(([name, value]) => [name.toLowerCase(), value])), problems };
}

/** Lines with their ends, one after the other. */
class Lines {
  /** Of the line that came last, from 1 on. */
  number = 0;
  readonly #lines: readonly string[];

  constructor(text: string) {
    this.#lines = text.split(/(?<=\n)/);
  }

  next(): string | undefined {
    return this.#lines[this.number++];
  }

  backTo(number: number): void {
    this.number = number;
  }
}

function sectionOf(line: string): string {
  const end = line.lastIndexOf(']');
  if (end < 0) throw new Refusal('a section without its ]');
  if (end === 1) throw new Refusal('a section without a name');
  return line.slice(1, end);
}

/** @returns the name, and what stands behind the first = or : */
function nameOf(line: string): { readonly name: string; readonly rest: string } {
  const quote = line.startsWith('"""') && isLonger(line, 6) ? '"""' : (/^["`]/.exec(line)?.[0] ?? '');
  const close = quote === '' ? 0 : line.indexOf(quote, quote.length);
  if (close < 0) throw new Refusal(`which has no closing ${quote}`);
  const from = close + quote.length;
  const delimiter = from + line.slice(from).search(/[=:]/);
  const name = trim(quote === '' ? line.slice(0, Math.max(delimiter, 0)) : line.slice(quote.length, close));
  if (delimiter < from) throw new Refusal('which is not of the form Name = value');
  if (name === '') throw new Refusal('which has no name');
  return { name, rest: line.slice(delimiter + 1) };
}

function textOf(rest: string, lines: Lines): string {
  const line = rest.replace(LEADING, '');
  const quote = line.startsWith('"""') && isLonger(line, 3) ? '"""' : line.startsWith('`') ? '`' : undefined;
  if (quote !== undefined) {
    const text = line.slice(quote.length);
    const end = text.lastIndexOf(quote);
    return end < 0 ? verbatim(text, quote, lines) : text.slice(0, end);
  }
  const trimmed = trim(line);
  if (trimmed.endsWith('\\')) return continued(trimmed.slice(0, -1), lines);
  return withoutQuotes(trim(trimmed.replace(/[#;].*$/s, '')));
}

/** Up to the last closing quotes of the first line that has any. */
function verbatim(first: string, quote: string, lines: Lines): string {
  let value = first;
  for (let next = lines.next(); next !== undefined; next = lines.next()) {
    const end = next.lastIndexOf(quote);
    if (end >= 0) return value + next.slice(0, end);
    value += next;
  }
  throw new Refusal(`whose ${quote} has no end`);
}

function continued(first: string, lines: Lines): string {
  let value = first;
  for (let next = lines.next(); next !== undefined; next = lines.next()) {
    const line = trim(next);
    if (line === '') break;
    value += line;
    if (!value.endsWith('\\')) break;
    value = value.slice(0, -1);
  }
  return value;
}

/** Only where there are no others of their kind inside. */
function withoutQuotes(text: string): string {
  return /^(?:'[^']*'|"[^"]*")$/.test(text) ? text.slice(1, -1) : text;
}

function trim(text: string): string {
  return text.replace(LEADING, '').replace(TRAILING, '');
}

/** In bytes of UTF-8. */
function isLonger(text: string, bytes: number): boolean {
  const three = text.replace(/[\u0800-\ud7ff\ue000-\uffff]/g, '...');
  return three.replace(/[\u0080-\u07ff\ud800-\udfff]/g, '..').length > bytes;
}
