/** Keys of 32 bytes, as base64 (for people) and as hex (for the UAPI). */
import { bytesToHex, hexToBytes } from '@noble/hashes/utils.js';
import { base64 } from '@scure/base';
import { copySecret, newSecret } from './bytes.ts';

export const KEY_SIZE = 32;
export const KEY_HEX_SIZE = 2 * KEY_SIZE;

/**
 * Parses a key as `wg` prints it: 44 characters of base64 with their padding.
 * @returns 32 bytes, or undefined if the text is not a key
 */
export function parseKeyBase64(text: string): Uint8Array | undefined {
  if (text.length !== 44) return undefined;
  try {
    const key = base64.decode(text);
    return key.length === KEY_SIZE ? secret(key) : undefined;
  } catch {
    return undefined;
  }
}

/**
 * Parses a key as the UAPI writes it.
 * @returns 32 bytes, or undefined if the text is not 64 hex digits
 */
export function parseKeyHex(text: string): Uint8Array | undefined {
  return /^[0-9a-fA-F]{64}$/.test(text) ? secret(hexToBytes(text)) : undefined;
}

/** Moves a key into erasable memory, because the library may have allocated it elsewhere. */
function secret(key: Uint8Array): Uint8Array {
  const copy = copySecret(key);
  key.fill(0);
  return copy;
}

/** Returns a key of 32 bytes as 44 characters of base64. */
export function formatKeyBase64(key: Uint8Array): string {
  return base64.encode(key);
}

/** Returns a key of 32 bytes as 64 lower-case hex digits. */
export function formatKeyHex(key: Uint8Array): string {
  return bytesToHex(key);
}

/**
 * Parses a hex key from the bytes [from, to) of a text, so that a secret never becomes a string.
 * Uses no lookup table, since cache timing would leak the digits.
 * @returns 32 bytes that fill(0) erases, or undefined if the range is not 64 hex digits
 */
export function readKeyHex(text: Uint8Array, from: number, to: number): Uint8Array | undefined {
  if (to - from !== KEY_HEX_SIZE) return undefined;
  const key = newSecret(KEY_SIZE);
  let bad = 0;
  for (let i = 0; i < KEY_SIZE; i++) {
    const [high, low] = [hexDigit(text[from + 2 * i]!), hexDigit(text[from + 2 * i + 1]!)];
    bad |= high | low;
    key[i] = (high << 4) | (low & 15);
  }
  if (bad >= 0) return key;
  key.fill(0);
  return undefined;
}

/** Writes a key as 64 hex digits at an offset. */
export function writeKeyHex(key: Uint8Array, text: Uint8Array, at: number): void {
  for (let i = 0; i < KEY_SIZE; i++) {
    text[at + 2 * i] = hexCharacter(key[i]! >> 4);
    text[at + 2 * i + 1] = hexCharacter(key[i]! & 15);
  }
}

/** Parses 44 characters of base64, including the padding, with the guarantees of readKeyHex. */
export function readKeyBase64(text: Uint8Array, from: number, to: number): Uint8Array | undefined {
  if (to - from !== KEY_BASE64_SIZE || text[to - 1] !== PADDING) return undefined;
  const key = newSecret(KEY_SIZE);
  let [bad, bits, held, at] = [0, 0, 0, 0];
  for (let i = from; i < to - 1; i++) {
    const value = base64Digit(text[i]!);
    bad |= value;
    bits = ((bits << 6) | (value & 63)) & 0xffff;
    held += 6;
    if (held < 8) continue;
    held -= 8;
    key[at++] = bits >> held;
  }
  // the two unused bits must be zero, so that each key has only one text
  if (bad >= 0 && (bits & ((1 << held) - 1)) === 0) return key;
  key.fill(0);
  return undefined;
}

const KEY_BASE64_SIZE = 44;
const PADDING = 0x3d;

/** Returns the value of a base64 digit, 0 to 63, or -1. Uses no lookup table. */
export function base64Digit(code: number): number {
  const within = (first: number, last: number) => ((first - 1 - code) & (code - last - 1)) >> 31;
  const [upper, lower, digit] = [within(0x41, 0x5a), within(0x61, 0x7a), within(0x30, 0x39)];
  const [plus, slash] = [within(0x2b, 0x2b), within(0x2f, 0x2f)];
  const value = (upper & (code - 0x41)) | (lower & (code - 0x47)) | (digit & (code + 4)) | (plus & 62) | (slash & 63);
  return value | ~(upper | lower | digit | plus | slash);
}

/** Returns the value of a hex digit, 0 to 15, or -1. */
function hexDigit(code: number): number {
  // each comparison yields all ones or all zeros
  const digit = ((0x2f - code) & (code - 0x3a)) >> 31;
  const letter = code | 0x20;
  const inLetters = ((0x60 - letter) & (letter - 0x67)) >> 31;
  return (digit & (code - 0x30)) | (inLetters & (letter - 0x57)) | ~(digit | inLetters);
}

function hexCharacter(value: number): number {
  return 0x30 + value + (((9 - value) >> 31) & 0x27);
}

/**
 * Reports whether every byte is zero, which means "no key" in the UAPI. Never exits early, because
 * keys are secret.
 */
export function isZeroKey(key: Uint8Array): boolean {
  let bits = 0;
  for (let i = 0; i < key.length; i++) bits |= key[i]!;
  return bits === 0;
}

/**
 * Clamps a private key in place (RFC 7748 section 5). Every WireGuard implementation stores keys
 * clamped.
 */
export function clampPrivateKey(key: Uint8Array): Uint8Array {
  key[0]! &= 248;
  key[31] = (key[31]! & 127) | 64;
  return key;
}
