/**
 * Checks of arguments that every provider makes, so that all providers refuse the same arguments.
 * Without them, OpenSSL would accept short nonces.
 */

export const KEY_SIZE = 32;
export const NONCE_SIZE = 12;
export const XNONCE_SIZE = 24;
export const TAG_SIZE = 16;

/**
 * Throws a RangeError for a wrong size. A wrong size is a mistake of the caller, because network
 * input has already been cut to size.
 */
export function expectSize(what: string, bytes: Uint8Array, size: number): void {
  if (bytes.length !== size) throw new RangeError(`${what} has ${size} bytes, not ${bytes.length}`);
}

export function expectAead(key: Uint8Array, nonce: Uint8Array, nonceSize: number): void {
  expectSize('an AEAD key', key, KEY_SIZE);
  expectSize('a nonce', nonce, nonceSize);
}

export function expectDh(privateKey: Uint8Array, ...publicKeys: readonly Uint8Array[]): void {
  expectSize('a private key', privateKey, KEY_SIZE);
  for (const publicKey of publicKeys) expectSize('a public key', publicKey, KEY_SIZE);
}

/**
 * Checks a key of keyed BLAKE2s (RFC 7693 section 2.9). An empty key would silently give the
 * unkeyed hash.
 */
export function expectMacKey(key: Uint8Array): void {
  if (key.length < 1 || key.length > 32) throw new RangeError(`a mac key has 1 to 32 bytes, not ${key.length}`);
}
