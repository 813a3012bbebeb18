/**
 * The primitives of the OpenSSL inside Node, through node:crypto. Two are missing there. Keyed
 * BLAKE2s comes from noble. XChaCha20-Poly1305 combines noble's HChaCha20 with OpenSSL's
 * ChaCha20-Poly1305 (draft-irtf-cfrg-xchacha-03 section 2.3).
 */

import { createCipheriv, createDecipheriv, createHash, createHmac, timingSafeEqual } from 'node:crypto';
import { hchacha } from '@noble/ciphers/chacha.js';
import { blake2s } from '@noble/hashes/blake2.js';
import { oneByOne } from '../dh-many.ts';
import { kdfOf } from '../kdf.ts';
import type { CryptoProvider } from '../provider.ts';
import {
  expectAead,
  expectDh,
  expectMacKey,
  expectSize,
  KEY_SIZE,
  NONCE_SIZE,
  TAG_SIZE,
  XNONCE_SIZE,
} from '../sizes.ts';
import { forgetX25519, x25519, x25519PublicKey } from './openssl-x25519.ts';

const HASH = 'blake2s256';
const AEAD = 'chacha20-poly1305';
const AEAD_OPTIONS = { authTagLength: TAG_SIZE } as const;

/**
 * WireGuard's primitives from the OpenSSL inside Node (node:crypto). Keyed BLAKE2s and the subkey
 * of XChaCha20 come from noble.
 */
export const opensslCrypto: CryptoProvider = {
  name: 'openssl',

  hash(...parts) {
    const state = createHash(HASH);
    for (const part of parts) state.update(part);
    return plain(state.digest());
  },

  mac(key, data) {
    expectMacKey(key);
    return blake2s(data, { key, dkLen: 16 });
  },

  hmac,
  kdf: kdfOf(hmac),

  dh,
  publicKey,
  forget: forgetX25519,
  ...oneByOne({ dh, publicKey }),

  seal,
  open,

  ...extended({ seal, open }),

  equal: (a, b) => a.length === b.length && timingSafeEqual(a, b),
};

function hmac(key: Uint8Array, data: Uint8Array): Uint8Array {
  return plain(createHmac(HASH, key).update(data).digest());
}

function dh(privateKey: Uint8Array, theirs: Uint8Array): Uint8Array | undefined {
  expectDh(privateKey, theirs);
  return x25519(privateKey, theirs);
}

function publicKey(privateKey: Uint8Array): Uint8Array {
  expectSize('a private key', privateKey, KEY_SIZE);
  return x25519PublicKey(privateKey);
}

function seal(key: Uint8Array, nonce: Uint8Array, plaintext: Uint8Array, aad: Uint8Array): Uint8Array {
  expectAead(key, nonce, NONCE_SIZE);
  const cipher = createCipheriv(AEAD, key, nonce, AEAD_OPTIONS);
  cipher.setAAD(aad, { plaintextLength: plaintext.length });
  const out = new Uint8Array(plaintext.length + TAG_SIZE);
  out.set(cipher.update(plaintext));
  cipher.final();
  out.set(cipher.getAuthTag(), plaintext.length);
  return out;
}

function open(key: Uint8Array, nonce: Uint8Array, ciphertext: Uint8Array, aad: Uint8Array): Uint8Array | undefined {
  expectAead(key, nonce, NONCE_SIZE);
  const length = ciphertext.length - TAG_SIZE;
  if (length < 0) return undefined;
  const decipher = createDecipheriv(AEAD, key, nonce, AEAD_OPTIONS);
  decipher.setAAD(aad, { plaintextLength: length });
  decipher.setAuthTag(ciphertext.subarray(length));
  const plaintext = decipher.update(ciphertext.subarray(0, length));
  try {
    decipher.final();
  } catch {
    plaintext.fill(0);
    return undefined;
  }
  return plain(plaintext);
}

/** Builds XChaCha20-Poly1305 on an implementation of ChaCha20-Poly1305. */
export function extended({
  seal,
  open,
}: Pick<CryptoProvider, 'seal' | 'open'>): Pick<CryptoProvider, 'xseal' | 'xopen'> {
  return {
    xseal(key, nonce, plaintext, aad) {
      expectAead(key, nonce, XNONCE_SIZE);
      return withSubkey(key, nonce, (subkey, short) => seal(subkey, short, plaintext, aad));
    },

    xopen(key, nonce, ciphertext, aad) {
      expectAead(key, nonce, XNONCE_SIZE);
      return withSubkey(key, nonce, (subkey, short) => open(subkey, short, ciphertext, aad));
    },
  };
}

/**
 * Derives the subkey and the 12-byte nonce from a key and a 24-byte nonce, calls `use` with them,
 * and then erases the subkey. Their memory is reused, because a flood of handshakes makes one call
 * per cookie.
 */
export function withSubkey<T>(
  key: Uint8Array,
  nonce: Uint8Array,
  use: (subkey: Uint8Array, short: Uint8Array) => T,
): T {
  keyBytes.set(key);
  nonceBytes.set(nonce);
  hchacha(SIGMA, keyWords, nonceWords.subarray(0, 4), subkeyWords);
  shortNonce.set(nonceBytes.subarray(16), 4);
  try {
    return use(subkeyBytes, shortNonce);
  } finally {
    keyWords.fill(0);
    subkeyWords.fill(0);
  }
}

/** Views bytes as words in the machine's byte order, as hchacha expects. */
function words(bytes: Uint8Array): Uint32Array {
  return new Uint32Array(Uint8Array.from(bytes).buffer);
}

const keyWords = new Uint32Array(8);
const nonceWords = new Uint32Array(6);
const subkeyWords = new Uint32Array(8);
const [keyBytes, nonceBytes, subkeyBytes] = [keyWords, nonceWords, subkeyWords].map(
  ({ buffer }) => new Uint8Array(buffer),
) as [Uint8Array, Uint8Array, Uint8Array];
const shortNonce = new Uint8Array(NONCE_SIZE);
const SIGMA = words(Uint8Array.from('expand 32-byte k', letter => letter.charCodeAt(0)));

/**
 * Returns a view of the same memory that is not a Buffer, so that results of all providers compare
 * as equal.
 */
function plain(buffer: Buffer): Uint8Array {
  return new Uint8Array(buffer.buffer, buffer.byteOffset, buffer.length);
}
