/** Keys of 32 bytes as base64 (what people type) and as hex (what the UAPI speaks). */
import { bytesToHex, hexToBytes } from '@noble/hashes/utils.js';
import { base64 } from '@scure/base';

export const KEY_SIZE = 32;

/** @returns 32 bytes, or undefined if the text is not the base64 of a key, exactly 44 characters with its padding. */
export function parseKeyBase64(text: string): Uint8Array | undefined {
  if (text.length !== 44) return undefined;
  try {
    const key = base64.decode(text);
    return key.length === KEY_SIZE ? key : undefined;
  } catch {
    return undefined;
  }
}

/** @returns 32 bytes, or undefined if the text is not 64 hex digits. */
export function parseKeyHex(text: string): Uint8Array | undefined {
  return /^[0-9a-fA-F]{64}$/.test(text) ? hexToBytes(text) : undefined;
}

export function formatKeyBase64(key: Uint8Array): string {
  return base64.encode(key);
}

export function formatKeyHex(key: Uint8Array): string {
  return bytesToHex(key);
}

/** Whether every byte is zero: the UAPI's "no key". No early exit, since this is asked of secrets. */
export function isZeroKey(key: Uint8Array): boolean {
  let bits = 0;
  for (let i = 0; i < key.length; i++) bits |= key[i]!;
  return bits === 0;
}

/** The clamping of RFC 7748 section 5, in place, as every WireGuard stores a private key. */
export function clampPrivateKey(key: Uint8Array): Uint8Array {
  key[0]! &= 248;
  key[31] = (key[31]! & 127) | 64;
  return key;
}
