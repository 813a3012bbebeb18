/** The provider `noble`. Tests compare the other providers with it. */
import { chacha20poly1305, xchacha20poly1305 } from '@noble/ciphers/chacha.js';
import { x25519 } from '@noble/curves/ed25519.js';
import { blake2s } from '@noble/hashes/blake2.js';
import { hmac } from '@noble/hashes/hmac.js';
import { oneByOne } from './dh-many.ts';
import { kdfOf } from './kdf.ts';
import type { CryptoProvider } from './provider.ts';
import {
  expectAead,
  expectDh,
  expectMacKey,
  expectSize,
  KEY_SIZE,
  NONCE_SIZE,
  TAG_SIZE,
  XNONCE_SIZE,
} from './sizes.ts';

/**
 * WireGuard's primitives in pure JavaScript, from @noble/*. Runs anywhere. A handshake takes a few
 * milliseconds, mostly for X25519.
 */
export const nobleCrypto: CryptoProvider = {
  name: 'noble',

  hash(...parts) {
    const state = blake2s.create({});
    for (const part of parts) state.update(part);
    return state.digest();
  },

  mac(key, data) {
    expectMacKey(key);
    return blake2s(data, { key, dkLen: 16 });
  },

  hmac: hmacBlake2s,
  kdf: kdfOf(hmacBlake2s),

  dh,
  publicKey,
  forget(privateKey) {
    privateKey.fill(0);
  },
  ...oneByOne({ dh, publicKey }),

  seal(key, nonce, plaintext, aad) {
    expectAead(key, nonce, NONCE_SIZE);
    return chacha20poly1305(key, nonce, aad).encrypt(plaintext);
  },

  open(key, nonce, ciphertext, aad) {
    expectAead(key, nonce, NONCE_SIZE);
    return opened(chacha20poly1305(key, nonce, aad), ciphertext);
  },

  xseal(key, nonce, plaintext, aad) {
    expectAead(key, nonce, XNONCE_SIZE);
    return xchacha20poly1305(key, nonce, aad).encrypt(plaintext);
  },

  xopen(key, nonce, ciphertext, aad) {
    expectAead(key, nonce, XNONCE_SIZE);
    return opened(xchacha20poly1305(key, nonce, aad), ciphertext);
  },

  equal(a, b) {
    if (a.length !== b.length) return false;
    let bits = 0;
    for (let i = 0; i < a.length; i++) bits |= a[i]! ^ b[i]!;
    return bits === 0;
  },
};

function hmacBlake2s(key: Uint8Array, data: Uint8Array): Uint8Array {
  return hmac(blake2s, key, data);
}

function dh(privateKey: Uint8Array, theirs: Uint8Array): Uint8Array | undefined {
  expectDh(privateKey, theirs);
  try {
    return x25519.getSharedSecret(privateKey, theirs);
  } catch {
    // the sizes are valid, so only an all-zero result can cause the error
    return undefined;
  }
}

function publicKey(privateKey: Uint8Array): Uint8Array {
  expectSize('a private key', privateKey, KEY_SIZE);
  return x25519.getPublicKey(privateKey);
}

function opened(
  cipher: { decrypt(ciphertext: Uint8Array): Uint8Array },
  ciphertext: Uint8Array,
): Uint8Array | undefined {
  if (ciphertext.length < TAG_SIZE) return undefined;
  try {
    return cipher.decrypt(ciphertext);
  } catch {
    return undefined;
  }
}
