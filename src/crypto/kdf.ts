/**
 * The key derivation of the handshake, for providers without a native KDF (whitepaper section 5.4,
 * Kdf_n; RFC 5869 with HMAC-BLAKE2s and without info). Derives one to three keys of 32 bytes from a
 * chaining key of 32 bytes and an input of any length.
 */
import type { CryptoProvider } from './provider.ts';
import { expectSize, KEY_SIZE } from './sizes.ts';

export function kdfOf(hmac: CryptoProvider['hmac']): CryptoProvider['kdf'] {
  return (chainingKey, input, keys) => {
    expectSize('a chaining key', chainingKey, KEY_SIZE);
    const secret = hmac(chainingKey, input);
    const made: Uint8Array[] = [];
    // T(n) = HMAC(secret, T(n - 1) | n), and T(0) is empty
    for (let n = 1; n <= keys; n++) {
      const before = made.at(-1);
      const data = new Uint8Array((before?.length ?? 0) + 1);
      if (before) data.set(before);
      data[data.length - 1] = n;
      made.push(hmac(secret, data));
      data.fill(0);
    }
    secret.fill(0);
    return made;
  };
}
