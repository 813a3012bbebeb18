/**
 * The lines of a configuration file. The parsers of wg's keys and of wg-quick's keys share this
 * file, so that both have the same encoding, comments and white space. White space is that of C
 * (space, tab, CR, vertical tab, form feed), as in wg and wg-quick. A no-break space is not white
 * space; if its line has an error, the message names it.
 */
import { ConfigError, quoteKey } from './errors.ts';

/**
 * Splits a file at its newlines. Drops byte order marks, also those in the middle of a file that
 * was joined from several files.
 * @throws ConfigError if the file is not UTF-8 or its lines end in CR alone
 */
export function confLines(text: string, file: string): string[] {
  const utf16 = utf16Name(text);
  if (utf16 !== undefined)
    throw new ConfigError(
      'syntax',
      `this file is UTF-16, and must be UTF-8: convert it with \`iconv -f ${utf16} -t UTF-8 ${file} > new.conf'`,
      { file },
    );
  // wg would read the whole file as one line, or as an empty file if it begins with a comment
  if (!text.includes('\n') && /\r[^\r]/.test(text))
    throw new ConfigError(
      'syntax',
      `the lines of this file end in CR (\\r) alone: convert it with \`tr "\\r" "\\n" < ${file} > new.conf'`,
      { file },
    );
  return text.split('\n').map(line => (line.startsWith(BYTE_ORDER_MARK) ? line.slice(1) : line));
}

/** Returns the part of a line before its comment. */
export function withoutComment(line: string): string {
  const comment = line.indexOf('#');
  return comment < 0 ? line : line.slice(0, comment);
}

/** Removes all white space, as wg does before it parses a line. */
export function withoutSpace(text: string): string {
  return text.replace(/[ \t\r\v\f]/g, '');
}

/**
 * Removes white space at both ends. Takes linear time, unlike a regular expression, because lines
 * may be long.
 */
export function trimSpace(text: string, space: string = SPACE): string {
  let [start, end] = [0, text.length];
  while (start < end && space.includes(text[start]!)) start++;
  while (end > start && space.includes(text[end - 1]!)) end--;
  return text.slice(start, end);
}

/**
 * Splits a wg-quick list at commas and white space. `context` is the text between the two commas
 * around the item.
 */
export function listItems(text: string): { readonly item: string; readonly context: string }[] {
  return text.split(',').flatMap(context =>
    context
      .split(/[ \t\r\v\f]+/)
      .filter(item => item !== '')
      .map(item => ({ item, context: trimSpace(context) })),
  );
}

/**
 * Returns the same error with its place, and with a note about invisible characters in the line.
 */
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
/**
 * Characters that are invisible or look like a space: NUL, no-break and typographic spaces,
 * zero-width characters, line separators.
 */
const HIDDEN = /[\0\u0085\u00a0\u1680\u2000-\u200f\u2028-\u202f\u205f-\u2064\u3000\ufeff]/;

/**
 * Detects a UTF-16 file that was decoded as UTF-8: it begins with a byte order mark, which is
 * invalid UTF-8, or every second byte at its start is NUL.
 * @returns iconv(1)'s name of the encoding, or undefined if the file is not UTF-16
 */
function utf16Name(text: string): string | undefined {
  if (/^\ufffd\ufffd/.test(text) && (text.length === 2 || text.includes('\0'))) return 'UTF-16';
  const start = text.slice(0, UTF16_SAMPLE);
  if (/^(?:[^\0]\0){2,}/.test(start)) return 'UTF-16LE';
  return /^(?:\0[^\0]){2,}/.test(start) ? 'UTF-16BE' : undefined;
}

const UTF16_SAMPLE = 16;
