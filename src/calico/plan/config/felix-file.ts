/**
 * Parses Felix's configuration file (`/etc/calico/felix.cfg`) exactly as Felix's parser does
 * (github.com/go-ini/ini 1.67). The less obvious rules:
 * - `#` and `;` start a comment after a value too, even inside quotes.
 * - A value that ends in `\` continues on the next line, where comments are not recognised.
 * - Values in `"""` or backticks are verbatim and may span lines.
 * - A repeated section header reopens the existing section. If two sections set the same name, the
 *   section that was opened later wins.
 *
 * A line that this parser rejects keeps Felix from starting. Here it becomes a Problem and is
 * skipped. Names are returned in lower case.
 */
import { type Problem, quoted } from '../../model/problem.ts';

export interface FelixFile {
  readonly parameters: ReadonlyMap<string, string>;
  readonly problems: readonly Problem[];
}

/** White space as Go defines it (unicode.IsSpace). */
const SPACE = String.raw`[\t-\r \u0085\u00a0\u1680\u2000-\u200a\u2028\u2029\u202f\u205f\u3000]`;
const LEADING = new RegExp(`^${SPACE}+`);
const TRAILING = new RegExp(`${SPACE}+$`);

/** Thrown for a line that go-ini rejects; the message completes "line 3 is ..., ". */
class UnreadableLine extends Error {}

/** Parses the text of felix.cfg. */
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
        section = readSectionName(line);
        if (!sections.has(section)) sections.set(section, new Map());
        unnamed = 1;
      } else {
        const { name, rest } = readName(line);
        const key = name === '-' ? `#${unnamed++}` : name;
        sections.get(section)!.set(key, readValue(rest, lines));
      }
    } catch (error) {
      if (!(error instanceof UnreadableLine)) throw error;
      lines.rewindTo(number);
      const message = `line ${number} is ${quoted(trim(line))}, ${error.message}; the agent ignores it, but Felix does not start with it: correct the line`;
      problems.push({ object: 'File/felix.cfg', reason: 'InvalidLine', message });
    }
  }
  // Names that differ only in case collide below: sort empty values first so that set ones win.
  const merged = [...new Map([...sections.values()].flatMap(each => [...each]))].sort((a, b) => +!!a[1] - +!!b[1]);
  return { parameters: new Map(merged.map(([name, value]) => [name.toLowerCase(), value])), problems };
}

/** Iterates over lines, including their line ends. */
class Lines {
  /** Number of the line that {@link next} returned last, counted from 1. */
  number = 0;
  readonly #lines: readonly string[];

  constructor(text: string) {
    this.#lines = text.split(/(?<=\n)/);
  }

  next(): string | undefined {
    return this.#lines[this.number++];
  }

  rewindTo(number: number): void {
    this.number = number;
  }
}

function readSectionName(line: string): string {
  const end = line.lastIndexOf(']');
  if (end < 0) throw new UnreadableLine('a section without its closing ]');
  if (end === 1) throw new UnreadableLine('a section without a name');
  return line.slice(1, end);
}

/** Splits a line at its first `=` or `:` outside the quoted name. */
function readName(line: string): { readonly name: string; readonly rest: string } {
  const quote = line.startsWith('"""') && isLongerThan(line, 6) ? '"""' : (/^["`]/.exec(line)?.[0] ?? '');
  const close = quote === '' ? 0 : line.indexOf(quote, quote.length);
  if (close < 0) throw new UnreadableLine(`which has no closing ${quote}`);
  const from = close + quote.length;
  const delimiter = from + line.slice(from).search(/[=:]/);
  const name = trim(quote === '' ? line.slice(0, Math.max(delimiter, 0)) : line.slice(quote.length, close));
  if (delimiter < from) throw new UnreadableLine('which is not of the form Name = value');
  if (name === '') throw new UnreadableLine('which has no name');
  return { name, rest: line.slice(delimiter + 1) };
}

function readValue(rest: string, lines: Lines): string {
  const line = rest.replace(LEADING, '');
  const quote = line.startsWith('"""') && isLongerThan(line, 3) ? '"""' : line.startsWith('`') ? '`' : undefined;
  if (quote !== undefined) {
    const text = line.slice(quote.length);
    const end = text.lastIndexOf(quote);
    return end < 0 ? readVerbatim(text, quote, lines) : text.slice(0, end);
  }
  const trimmed = trim(line);
  if (trimmed.endsWith('\\')) return readContinued(trimmed.slice(0, -1), lines);
  return unquote(trim(trimmed.replace(/[#;].*$/s, '')));
}

/** Reads a multi-line value up to the last closing quote on the first line that contains one. */
function readVerbatim(first: string, quote: string, lines: Lines): string {
  let value = first;
  for (let next = lines.next(); next !== undefined; next = lines.next()) {
    const end = next.lastIndexOf(quote);
    if (end >= 0) return value + next.slice(0, end);
    value += next;
  }
  throw new UnreadableLine(`whose ${quote} has no end`);
}

function readContinued(first: string, lines: Lines): string {
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

/** Removes surrounding quotes unless the text contains more quotes of the same kind. */
function unquote(text: string): string {
  return /^(?:'[^']*'|"[^"]*")$/.test(text) ? text.slice(1, -1) : text;
}

function trim(text: string): string {
  return text.replace(LEADING, '').replace(TRAILING, '');
}

/** Returns whether the text takes more than this many bytes of UTF-8. */
function isLongerThan(text: string, bytes: number): boolean {
  const three = text.replace(/[\u0800-\ud7ff\ue000-\uffff]/g, '...');
  return three.replace(/[\u0080-\u07ff\ud800-\udfff]/g, '..').length > bytes;
}
