/**
 * Stores the private keys of this node, one per family, in files that survive restarts: after a key
 * change, no peer can reach us until it learns the new key. A file contains base64 text as `wg`
 * writes it. Keys are never JavaScript strings, because strings cannot be erased.
 */
import { randomFillSync } from 'node:crypto';
import { newSecret } from '../../../base/bytes.ts';
import { codedError } from '../../../base/coded-error.ts';
import type { Family } from '../../../base/family.ts';
import { clampPrivateKey, isZeroKey, KEY_SIZE } from '../../../base/key.ts';
import type { Keys } from '../ports.ts';
import type { StateDirectory } from './state-directory.ts';

const FILE = { 4: 'private-key', 6: 'private-key-v6' } as const;
const DIGITS = new TextEncoder().encode('ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/');
const VALUES = new Int8Array(256).fill(-1);
for (const [value, digit] of DIGITS.entries()) VALUES[digit] = value;
const [PADDING, NEWLINE, SPACE] = [0x3d, 0x0a, 0x20];
const TEXT_SIZE = 44;

export class KeyFiles implements Keys {
  readonly #directory: StateDirectory;

  constructor(directory: StateDirectory) {
    this.#directory = directory;
  }

  load(family: Family): Uint8Array | undefined {
    const text = this.#directory.read(FILE[family]);
    if (!text) return undefined;
    const key = newSecret(KEY_SIZE);
    try {
      if (decode(text, key) && !isZeroKey(key)) return clampPrivateKey(key);
    } finally {
      text.fill(0);
    }
    key.fill(0);
    throw codedError(
      'EINVAL',
      `${this.#directory.pathOf(FILE[family])} does not contain a private key: it must hold 44 characters of base64. Restore it from a backup; without one, remove the file, and the agent generates a new key`,
    );
  }

  save(family: Family, key: Uint8Array): void {
    const text = newSecret(TEXT_SIZE + 1);
    try {
      encode(key, text);
      this.#directory.write(FILE[family], text);
    } finally {
      text.fill(0);
    }
  }

  generate(): Uint8Array {
    return clampPrivateKey(randomFillSync(newSecret(KEY_SIZE)));
  }
}

/** Decodes base64, ignoring trailing white space. @returns true if the text was a key */
function decode(text: Uint8Array, key: Uint8Array): boolean {
  if (text.length < TEXT_SIZE || text[TEXT_SIZE - 1] !== PADDING) return false;
  if (!text.subarray(TEXT_SIZE).every(byte => byte <= SPACE)) return false;
  let [bits, held, at] = [0, 0, 0];
  for (let i = 0; i < TEXT_SIZE - 1; i++) {
    const value = VALUES[text[i]!]!;
    if (value < 0) return false;
    bits = ((bits << 6) | value) & 0xffff;
    held += 6;
    if (held < 8) continue;
    held -= 8;
    key[at++] = bits >> held;
  }
  // The last two bits must be zero, so that each key has exactly one encoding.
  return (bits & ((1 << held) - 1)) === 0;
}

function encode(key: Uint8Array, text: Uint8Array): void {
  let [bits, held, at] = [0, 0, 0];
  for (const byte of key) {
    bits = ((bits << 8) | byte) & 0xffff;
    for (held += 8; held >= 6; held -= 6) text[at++] = DIGITS[(bits >> (held - 6)) & 63]!;
  }
  text[at++] = DIGITS[(bits << (6 - held)) & 63]!;
  text[at++] = PADDING;
  text[at] = NEWLINE;
}
