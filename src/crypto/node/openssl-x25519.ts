/**
 * X25519 of node:crypto. Its keys are KeyObjects. Public keys are imported as JWK, which with
 * OpenSSL 3.0 takes a tenth of the time of DER.
 */
import type { KeyObject } from 'node:crypto';
import { newSecret } from '../../base/bytes.ts';
import { collectSoon } from './collect.ts';
import { KeptKeys } from './kept-keys.ts';

/** The bytes before the 32-byte key in PKCS #8 (RFC 8410). */
const PKCS8 = Uint8Array.of(0x30, 0x2e, 2, 1, 0, 0x30, 5, 6, 3, 0x2b, 0x65, 0x6e, 4, 0x22, 4, 0x20);

/** Computes X25519. @returns undefined if the result is all zero */
export function x25519(privateKey: Uint8Array, publicKey: Uint8Array): Uint8Array | undefined {
  const ours = keys.get(privateKey);
  const theirs = crypto().createPublicKey({ key: { ...OKP, x: base64url(publicKey) }, format: 'jwk' });
  let secret: Buffer;
  try {
    secret = crypto().diffieHellman({ privateKey: ours, publicKey: theirs });
  } catch {
    // the keys are valid, so only an all-zero result can cause the error
    return undefined;
  }
  // node:crypto may use a library that does not check for the all-zero result
  let bits = 0;
  for (const byte of secret) bits |= byte;
  return bits === 0 ? undefined : new Uint8Array(secret.buffer, secret.byteOffset, secret.length);
}

/** Erases a private key. The collector frees the KeyObject, and OpenSSL then overwrites it. */
export function forgetX25519(privateKey: Uint8Array): void {
  keys.forget(privateKey);
  collectSoon();
}

export function x25519PublicKey(privateKey: Uint8Array): Uint8Array {
  return publicBytes(keys.get(privateKey));
}

/** Computes the public key of a private key that is used only once. The key is not cached. */
export function x25519PublicKeyOnce(privateKey: Uint8Array): Uint8Array {
  collectSoon();
  return publicBytes(fromDer(privateKey));
}

/**
 * Loads node:crypto on first use. Some programs never need it: `wgts show` only prints known public
 * keys, and elsewhere the addon computes them.
 */
function crypto(): typeof import('node:crypto') {
  return process.getBuiltinModule('node:crypto');
}

const OKP = { kty: 'OKP', crv: 'X25519' } as const;

/**
 * Imports a private key from DER. With OpenSSL 3.0 (Node 20) this takes 350 us, ten times as long
 * as a JWK, but a JWK holds the key as a string, which cannot be erased.
 */
function fromDer(privateKey: Uint8Array): KeyObject {
  const der = newSecret(PKCS8.length + privateKey.length);
  der.set(PKCS8);
  der.set(privateKey, PKCS8.length);
  const object = crypto().createPrivateKey({ key: Buffer.from(der.buffer), format: 'der', type: 'pkcs8' });
  der.fill(0);
  return object;
}

const keys = new KeptKeys(fromDer);

function publicBytes(object: KeyObject): Uint8Array {
  const { x } = crypto().createPublicKey(object).export({ format: 'jwk' });
  return new Uint8Array(Buffer.from(x!, 'base64url'));
}

function base64url(bytes: Uint8Array): string {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length).toString('base64url');
}
