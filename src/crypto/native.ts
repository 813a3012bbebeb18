/**
 * The provider `native`: the AEADs of handshakes through the addon (native/aead-single.c), one crossing each and no cipher object;
 * everything else is openssl's. The addon's batched AEAD, which carries the packets, is io/native-cipher.ts.
 */
import { opensslCrypto, withSubkey } from './openssl.ts';
import type { CryptoProvider } from './provider.ts';
import { expectAead, NONCE_SIZE, XNONCE_SIZE } from './sizes.ts';

/** What the addon exports for this; both are missing where Node does not export its OpenSSL. */
export interface AeadBinding {
  /** Ciphertext with its tag. Throws a TypeError unless all four are Uint8Arrays, of 32 and 12 bytes the first two. */
  aeadSeal?(key: Uint8Array, nonce: Uint8Array, plaintext: Uint8Array, aad: Uint8Array): Uint8Array;
  aeadOpen?(key: Uint8Array, nonce: Uint8Array, ciphertext: Uint8Array, aad: Uint8Array): Uint8Array | undefined;
}

/** @returns undefined where the addon has no such AEAD */
export function createNativeCrypto(binding: AeadBinding): CryptoProvider | undefined {
  const { aeadSeal, aeadOpen } = binding;
  if (!aeadSeal || !aeadOpen) return undefined;
  return {
    ...opensslCrypto,
    name: 'native',

    seal(key, nonce, plaintext, aad) {
      expectAead(key, nonce, NONCE_SIZE);
      return aeadSeal(key, nonce, plaintext, aad);
    },

    open(key, nonce, ciphertext, aad) {
      expectAead(key, nonce, NONCE_SIZE);
      return aeadOpen(key, nonce, ciphertext, aad);
    },

    xseal(key, nonce, plaintext, aad) {
      expectAead(key, nonce, XNONCE_SIZE);
      return withSubkey(key, nonce, (subkey, short) => aeadSeal(subkey, short, plaintext, aad));
    },

    xopen(key, nonce, ciphertext, aad) {
      expectAead(key, nonce, XNONCE_SIZE);
      return withSubkey(key, nonce, (subkey, short) => aeadOpen(subkey, short, ciphertext, aad));
    },
  };
}
