/**
 * X25519 by node:crypto. Its keys are KeyObjects, and with OpenSSL 3.0 making one from DER costs ten times the multiplication
 * itself (350 us and 35 us); from a JWK it does not. So keys come in as JWKs.
 */
import { createPrivateKey, createPublicKey, diffieHellman, type JsonWebKey, type KeyObject } from 'node:crypto';
import { KeptKeys, same } from './kept-keys.ts';

/** RFC 8410: what stands before the 32 bytes in PKCS #8. */
const PKCS8 = Uint8Array.of(0x30, 0x2e, 2, 1, 0, 0x30, 5, 6, 3, 0x2b, 0x65, 0x6e, 4, 0x22, 4, 0x20);

/** @returns undefined if the result is all zero */
export function x25519(privateKey: Uint8Array, publicKey: Uint8Array): Uint8Array | undefined {
  const ours = keys.get(privateKey);
  const theirs = createPublicKey({ key: { ...OKP, x: base64url(publicKey) }, format: 'jwk' });
  let secret: Buffer;
  try {
    secret = diffieHellman({ privateKey: ours, publicKey: theirs });
  } catch {
    // the keys are good, so what OpenSSL refuses is an all-zero result
    return undefined;
  }
  // and lest another library than OpenSSL stand behind node:crypto:
  let bits = 0;
  for (const byte of secret) bits |= byte;
  return bits === 0 ? undefined : new Uint8Array(secret.buffer, secret.byteOffset, secret.length);
}

/** The KeyObject itself can only be left to the collector, at whose end OpenSSL overwrites it. */
export function forgetX25519(privateKey: Uint8Array): void {
  keys.forget(privateKey);
}

export function x25519PublicKey(privateKey: Uint8Array): Uint8Array {
  return publicBytes(keys.get(privateKey));
}

const OKP = { kty: 'OKP', crv: 'X25519' } as const;

function fromJwk(privateKey: Uint8Array): KeyObject {
  // a private JWK has its public half too; OpenSSL makes its own from d
  const key: JsonWebKey = { ...OKP, d: base64url(privateKey), x: base64url(ANY_PUBLIC) };
  return createPrivateKey({ key, format: 'jwk' });
}

function fromDer(privateKey: Uint8Array): KeyObject {
  const der = Buffer.alloc(PKCS8.length + privateKey.length);
  der.set(PKCS8);
  der.set(privateKey, PKCS8.length);
  const object = createPrivateKey({ key: der, format: 'der', type: 'pkcs8' });
  der.fill(0);
  return object;
}

const ANY_PUBLIC = new Uint8Array(32);

/** Newer Nodes want the right public half in a JWK; their DER is fast. */
const keys = new KeptKeys(jwkTakesAnyPublicHalf() ? fromJwk : fromDer);

function jwkTakesAnyPublicHalf(): boolean {
  const privateKey = new Uint8Array(32).fill(0x77);
  try {
    return same(publicBytes(fromJwk(privateKey)), publicBytes(fromDer(privateKey)));
  } catch {
    return false;
  }
}

function publicBytes(object: KeyObject): Uint8Array {
  const { x } = createPublicKey(object).export({ format: 'jwk' });
  return new Uint8Array(Buffer.from(x!, 'base64url'));
}

function base64url(bytes: Uint8Array): string {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length).toString('base64url');
}
