/**
 * The provider `native`: for the primitives of handshakes, the addon calls the OpenSSL inside Node
 * directly. This avoids node:crypto's objects, which cost more than most of the computations. The
 * addon's batched AEAD for packets is io/native-cipher.ts.
 */

import type { CryptoProvider } from '../provider.ts';
import { passesSelfTest } from '../self-test.ts';
import { type AeadBinding, createNativeAead } from './native-aead.ts';
import { type Blake2sBinding, createNativeBlake2s } from './native-blake2s.ts';
import { createNativeX25519, type X25519Binding } from './native-x25519.ts';
import { opensslCrypto } from './openssl.ts';

export type CryptoBinding = AeadBinding & Blake2sBinding & X25519Binding;

/**
 * Creates the provider. @returns undefined if the addon lacks a primitive or fails the self-test
 */
export function createNativeCrypto(binding: CryptoBinding): CryptoProvider | undefined {
  const aead = createNativeAead(binding);
  const blake2s = createNativeBlake2s(binding);
  const x25519 = createNativeX25519(binding);
  if (!aead || !blake2s || !x25519) return undefined;
  const native = { ...opensslCrypto, ...aead, ...blake2s, ...x25519, name: 'native' };
  return passesSelfTest(native) ? native : undefined;
}
