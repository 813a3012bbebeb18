/**
 * Files with keys in them, read by programs that live long. The keys become bytes that can be erased; the text that is parsed has stand-ins in
 * their places, keys of the same form that nobody has, since a string stays in memory until its place is used for something else.
 */
import { randomFillSync } from 'node:crypto';
import { closeSync, openSync, readSync } from 'node:fs';
import { newSecret } from '../base/bytes.ts';
import { base64Digit, formatKeyBase64, KEY_SIZE, readKeyBase64 } from '../base/key.ts';
import { ConfigError } from '../config/errors.ts';

export interface HiddenText {
  readonly text: string;
  /** The key that a parsed stand-in stands for, or what was parsed itself. */
  reveal(parsed: Uint8Array): Uint8Array;
}

const FIRST_SIZE = 16_384;
const BASE64_SIZE = 44;
const SECRET_NAMES = ['privatekey', 'presharedkey'];
const [NEWLINE, EQUALS] = [0x0a, 0x3d];

/** All of a file, a pipe too, in memory that the caller erases. @throws ConfigError for one that is larger than `limit` bytes */
export function readSecretFile(path: string | number, limit = Number.POSITIVE_INFINITY): Uint8Array {
  const file = typeof path === 'number' ? path : openSync(path, 'r');
  let bytes = newSecret(FIRST_SIZE);
  let length = 0;
  try {
    for (;;) {
      const count = readSync(file, bytes, length, bytes.length - length, null);
      if (count === 0) return bytes.subarray(0, length);
      length += count;
      if (length > limit) {
        bytes.fill(0);
        throw new ConfigError('too-large', `this is no configuration: it has more than ${limit >> 20} MiB`, {
          file: String(path),
        });
      }
      if (length < bytes.length) continue;
      const larger = newSecret(2 * length);
      larger.set(bytes);
      bytes.fill(0);
      bytes = larger;
    }
  } finally {
    if (file !== path) closeSync(file);
  }
}

/** Takes the secrets out of a file in wg's format, and erases it. What is no key stays as it is, for the parser to say so. */
export function hideKeys(bytes: Uint8Array): HiddenText {
  const secrets = new Map<string, Uint8Array>();
  for (let from = 0; from < bytes.length; ) {
    const newline = bytes.indexOf(NEWLINE, from);
    const end = newline < 0 ? bytes.length : newline;
    const equals = bytes.indexOf(EQUALS, from);
    if (equals > from && equals < end && isSecretName(bytes, from, equals)) hideKey(bytes, equals + 1, end, secrets);
    from = end + 1;
  }
  const text = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length).toString('utf8');
  bytes.fill(0);
  return { text, reveal: parsed => secrets.get(formatKeyBase64(parsed)) ?? parsed };
}

/** White space counts nowhere, and case not in names. */
function isSecretName(bytes: Uint8Array, from: number, to: number): boolean {
  // longer is no name, and may be anything
  if (to - from > FIRST_SIZE) return false;
  const name = String.fromCharCode(...bytes.subarray(from, to).filter(byte => byte > 0x20 && byte < 0x7f));
  return SECRET_NAMES.includes(name.toLowerCase());
}

/** Where exactly one key stands, with white space or a comment around it. */
function hideKey(bytes: Uint8Array, from: number, to: number, secrets: Map<string, Uint8Array>): void {
  let at = from;
  while (at < to && base64Digit(bytes[at]!) < 0) at++;
  const key = at + BASE64_SIZE <= to ? readKeyBase64(bytes, at, at + BASE64_SIZE) : undefined;
  if (!key) return;
  const standIn = formatKeyBase64(randomFillSync(new Uint8Array(KEY_SIZE)));
  secrets.set(standIn, key);
  for (let i = 0; i < BASE64_SIZE; i++) bytes[at + i] = standIn.charCodeAt(i);
}
