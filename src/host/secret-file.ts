/**
 * Reads files with keys for long-lived programs. Keys become bytes that can be erased; a string
 * would stay in memory until that memory is reused. In the text for the parser, stand-ins replace
 * the keys: random values in the form of keys.
 */
import { randomFillSync } from 'node:crypto';
import { closeSync, openSync, readSync } from 'node:fs';
import { newSecret } from '../base/bytes.ts';
import { base64Digit, formatKeyBase64, KEY_SIZE, readKeyBase64 } from '../base/key.ts';
import { ConfigError } from '../config/errors.ts';

export interface HiddenText {
  readonly text: string;
  /** Returns the key that a parsed stand-in represents. Returns other values unchanged. */
  reveal(parsed: Uint8Array): Uint8Array;
}

const FIRST_SIZE = 16_384;
const BASE64_SIZE = 44;
const SECRET_NAMES = ['privatekey', 'presharedkey'];
const [NEWLINE, EQUALS] = [0x0a, 0x3d];

/**
 * Reads a whole file or pipe into memory that the caller erases.
 * @throws ConfigError if there are more than `limit` bytes
 */
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
        throw new ConfigError('too-large', `this is not a configuration: it has more than ${limit >> 20} MiB`, {
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

/**
 * Extracts the secrets from a file in wg's format, and erases the given bytes. An invalid key stays
 * in the text, so that the parser reports it.
 */
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

/** Reports whether a name is the key of a secret setting, ignoring white space and case. */
function isSecretName(bytes: Uint8Array, from: number, to: number): boolean {
  // longer texts are not key names
  if (to - from > FIRST_SIZE) return false;
  const name = String.fromCharCode(...bytes.subarray(from, to).filter(byte => byte > 0x20 && byte < 0x7f));
  return SECRET_NAMES.includes(name.toLowerCase());
}

/** Replaces a value that is exactly one key, optionally with white space or a comment around it. */
function hideKey(bytes: Uint8Array, from: number, to: number, secrets: Map<string, Uint8Array>): void {
  let at = from;
  while (at < to && base64Digit(bytes[at]!) < 0) at++;
  const key = at + BASE64_SIZE <= to ? readKeyBase64(bytes, at, at + BASE64_SIZE) : undefined;
  if (!key) return;
  const standIn = formatKeyBase64(randomFillSync(new Uint8Array(KEY_SIZE)));
  secrets.set(standIn, key);
  for (let i = 0; i < BASE64_SIZE; i++) bytes[at + i] = standIn.charCodeAt(i);
}
