/**
 * The provider `native`: the primitives of handshakes by the OpenSSL inside Node, called by the addon and not through node:crypto, whose
 * objects cost more than most of what they compute. The addon's batched AEAD, which carries the packets, is io/native-cipher.ts.
 */
import { type AeadBinding, createNativeAead } from './native-aead.ts';
import { type Blake2sBinding, createNativeBlake2s } from './native-blake2s.ts';
import { createNativeX25519, type X25519Binding } from './native-x25519.ts';
import { opensslCrypto } from './openssl.ts';
import type { CryptoProvider } from './provider.ts';
import { passesSelfTest } from './self-test.ts';

export type CryptoBinding = AeadBinding & Blake2sBinding & X25519Binding;

/** @returns undefined where the addon has not all of it, or gets its known answer wrong */
export function createNativeCrypto(binding: CryptoBinding): CryptoProvider | undefined {
  const aead = createNativeAead(binding);
  const blake2s = createNativeBlake2s(binding);
  const x25519 = createNativeX25519(binding);
  if (!aead || !blake2s || !x25519) return undefined;
  const native = { ...opensslCrypto, ...aead, ...blake2s, ...x25519, name: 'native' };
  return passesSelfTest(native) ? native : undefined;
}
