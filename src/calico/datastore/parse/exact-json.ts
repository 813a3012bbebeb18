/**
 * Reads and writes JSON with exact numbers: an object that is read and written back keeps numbers
 * that a JavaScript number cannot hold. JSON.parse passes a number's text to its reviver only from
 * Node 21 on, and lossless-json takes twenty times as long. We therefore replace each number that
 * JavaScript would change with a string that begins with an unguessable mark, and let JSON.parse do
 * the rest.
 */
import { randomBytes } from 'node:crypto';
import { ExactNumber, exactNumber } from '../../model/exact-number.ts';

const MARK = `${randomBytes(16).toString('hex')}#`;
const NUMBER = /-?(?:0|[1-9]\d*)(?:\.\d+)?(?:[eE][+-]?\d+)?(?![\d.eE+-])/y;
const MARKED = new RegExp(`"${MARK}([^"]*)"`, 'g');

/**
 * Like JSON.parse, but keeps numbers that it would change (exact-number.ts).
 * @throws SyntaxError like JSON.parse
 */
export function parseExactJson(text: string): unknown {
  const marked = withMarks(text);
  if (marked !== text)
    try {
      return JSON.parse(marked, unmarked) as unknown;
    } catch {
      // Parse the original text below, so that the error quotes it.
    }
  return JSON.parse(text) as unknown;
}

/** Like JSON.stringify, but writes `bigint` and ExactNumber as numbers. */
export function exactJson(value: unknown, indent?: number): string {
  let isMarked = false;
  const text = JSON.stringify(
    value,
    (_, each: unknown) => {
      if (typeof each !== 'bigint' && !(each instanceof ExactNumber)) return each;
      isMarked = true;
      return `${MARK}${each instanceof ExactNumber ? each.text : each}`;
    },
    indent,
  );
  return isMarked ? text.replace(MARKED, '$1') : text;
}

function unmarked(_: string, value: unknown): unknown {
  return typeof value === 'string' && value.startsWith(MARK) ? exactNumber(value.slice(MARK.length)) : value;
}

/**
 * Replaces each number that JavaScript would change with a marked string. Invalid JSON stays
 * invalid.
 */
function withMarks(text: string): string {
  const parts: string[] = [];
  let from = 0;
  let at = 0;
  while (at < text.length) {
    const code = text.charCodeAt(at);
    if (code === 0x22) {
      at = endOfString(text, at);
    } else if (code === 0x2d || (code >= 0x30 && code <= 0x39)) {
      NUMBER.lastIndex = at;
      const number = NUMBER.exec(text)?.[0];
      if (number === undefined) return text; // JSON.parse reports the error
      if (number.length > 15 || /[.eE]/.test(number)) {
        if (typeof exactNumber(number) !== 'number') {
          parts.push(text.slice(from, at), `"${MARK}${number}"`);
          from = at + number.length;
        }
      }
      at += number.length;
    } else at++;
  }
  return parts.length === 0 ? text : parts.join('') + text.slice(from);
}

/** Returns the index after the string's closing quote. */
function endOfString(text: string, start: number): number {
  let end = text.indexOf('"', start + 1);
  while (end > 0) {
    let before = end;
    while (text.charCodeAt(before - 1) === 0x5c) before--;
    if ((end - before) % 2 === 0) return end + 1;
    end = text.indexOf('"', end + 1);
  }
  return text.length;
}
