/**
 * The key derivation of the handshake (whitepaper section 5.4, Kdf_n; RFC 5869 with HMAC-BLAKE2s and no info): from a chaining
 * key of 32 bytes and an input of any length, one to three keys of 32 bytes.
 */
import type { CryptoProvider } from './provider.ts';

const ONE = Uint8Array.of(1);

export function kdf1(crypto: CryptoProvider, chainingKey: Uint8Array, input: Uint8Array): Uint8Array {
  const secret = crypto.hmac(chainingKey, input);
  const first = crypto.hmac(secret, ONE);
  secret.fill(0);
  return first;
}

export function kdf2(crypto: CryptoProvider, chainingKey: Uint8Array, input: Uint8Array): [Uint8Array, Uint8Array] {
  const secret = crypto.hmac(chainingKey, input);
  const first = crypto.hmac(secret, ONE);
  const second = following(crypto, secret, first, 2);
  secret.fill(0);
  return [first, second];
}

export function kdf3(
  crypto: CryptoProvider,
  chainingKey: Uint8Array,
  input: Uint8Array,
): [Uint8Array, Uint8Array, Uint8Array] {
  const secret = crypto.hmac(chainingKey, input);
  const first = crypto.hmac(secret, ONE);
  const second = following(crypto, secret, first, 2);
  const third = following(crypto, secret, second, 3);
  secret.fill(0);
  return [first, second, third];
}

/** T(n) = HMAC(secret, T(n - 1) | n) */
function following(crypto: CryptoProvider, secret: Uint8Array, before: Uint8Array, n: number): Uint8Array {
  const input = new Uint8Array(before.length + 1);
  input.set(before);
  input[before.length] = n;
  const out = crypto.hmac(secret, input);
  input.fill(0);
  return out;
}
