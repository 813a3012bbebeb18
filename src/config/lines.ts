/**
 * The lines of a configuration file, for wg's keys and wg-quick's alike: one encoding, one notion of comments and of white space. White space is
 * C's (space, tab, CR, vertical tab, form feed), as wg and wg-quick have it; a no-break space is not, and an error about its line names it.
 */
import { ConfigError, quoteKey } from './errors.ts';

/**
 * Splits a file at its newlines. A byte order mark is dropped, also where files that have one were put together.
 * @throws ConfigError for a file that is not UTF-8, or whose lines end in CR alone
 */
export function confLines(text: string, file: string): string[] {
  const utf16 = utf16Name(text);
  if (utf16 !== undefined)
    throw new ConfigError(
      'syntax',
      `this file is UTF-16, and must be UTF-8: convert it with \`iconv -f ${utf16} -t UTF-8 ${file} > new.conf'`,
      { file },
    );
  // wg would read it as one line, and nothing at all where that begins with a comment
  if (!text.includes('\n') && /\r[^\r]/.test(text))
    throw new ConfigError(
      'syntax',
      `the lines of this file end in CR (\\r) alone: convert it with \`tr "\\r" "\\n" < ${file} > new.conf'`,
      { file },
    );
  return text.split('\n').map(line => (line.startsWith(BYTE_ORDER_MARK) ? line.slice(1) : line));
}

/** What stands before the comment. */
export function withoutComment(line: string): string {
  const comment = line.indexOf('#');
  return comment < 0 ? line : line.slice(0, comment);
}

/** Removes all white space, as wg does from each line before it looks at it. */
export function withoutSpace(text: string): string {
  return text.replace(/[ \t\r\v\f]/g, '');
}

/** Removes white space at both ends. Unlike a regular expression it is linear, and lines may be long. */
export function trimSpace(text: string, space: string = SPACE): string {
  let [start, end] = [0, text.length];
  while (start < end && space.includes(text[start]!)) start++;
  while (end > start && space.includes(text[end - 1]!)) end--;
  return text.slice(start, end);
}

/** The items of a list of wg-quick's, with commas, white space, or both between them; each with what stands around it between two commas. */
export function listItems(text: string): { readonly item: string; readonly context: string }[] {
  return text.split(',').flatMap(context =>
    context
      .split(/[ \t\r\v\f]+/)
      .filter(item => item !== '')
      .map(item => ({ item, context: trimSpace(context) })),
  );
}

/** The same error with its place, and with a word about characters in the line that nobody can see. */
export function placeError(error: unknown, file: string, line: number, content: string): unknown {
  if (!(error instanceof ConfigError)) return error;
  const hidden = HIDDEN.exec(content)?.[0];
  if (hidden === undefined) return error.at({ file, line });
  const code = `U+${hidden.charCodeAt(0).toString(16).toUpperCase().padStart(4, '0')}`;
  const what = hidden === '\0' ? 'a NUL byte (is the file UTF-16?)' : `an invisible character (${code})`;
  const reason = `${error.reason}; in ${quoteKey(withoutSpace(content))} there is ${what}: remove it, or type an ordinary space`;
  return new ConfigError(error.code, reason, { file, line, value: error.value, errno: error.errno });
}

const SPACE = ' \t\r\v\f';
const BYTE_ORDER_MARK = '\ufeff';
/** What looks like a space or like nothing: NUL, no-break and typographic spaces, zero-width characters, line separators. */
const HIDDEN = /[\0\u0085\u00a0\u1680\u2000-\u200f\u2028-\u202f\u205f-\u2064\u3000\ufeff]/;

/**
 * The name that iconv(1) has for the encoding of a file that was decoded as UTF-8, if it was UTF-16: it begins with a byte order mark, which no
 * UTF-8 can be, or every second byte of its beginning is NUL.
 */
function utf16Name(text: string): string | undefined {
  if (/^\ufffd\ufffd/.test(text) && (text.length === 2 || text.includes('\0'))) return 'UTF-16';
  const start = text.slice(0, UTF16_SAMPLE);
  if (/^(?:[^\0]\0){2,}/.test(start)) return 'UTF-16LE';
  return /^(?:\0[^\0]){2,}/.test(start) ? 'UTF-16BE' : undefined;
}

const UTF16_SAMPLE = 16;
