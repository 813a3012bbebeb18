/** X25519 by node:crypto. Its keys are KeyObjects: public ones are made from JWKs, which with OpenSSL 3.0 takes a tenth of DER's time. */
import type { KeyObject } from 'node:crypto';
import { newSecret } from '../base/key.ts';
import { collectSoon } from './collect.ts';
import { KeptKeys } from './kept-keys.ts';

/** RFC 8410: what stands before the 32 bytes in PKCS #8. */
const PKCS8 = Uint8Array.of(0x30, 0x2e, 2, 1, 0, 0x30, 5, 6, 3, 0x2b, 0x65, 0x6e, 4, 0x22, 4, 0x20);

/** @returns undefined if the result is all zero */
export function x25519(privateKey: Uint8Array, publicKey: Uint8Array): Uint8Array | undefined {
  const ours = keys.get(privateKey);
  const theirs = crypto().createPublicKey({ key: { ...OKP, x: base64url(publicKey) }, format: 'jwk' });
  let secret: Buffer;
  try {
    secret = crypto().diffieHellman({ privateKey: ours, publicKey: theirs });
  } catch {
    // the keys are good, so what OpenSSL refuses is an all-zero result
    return undefined;
  }
  // and lest another library than OpenSSL stand behind node:crypto:
  let bits = 0;
  for (const byte of secret) bits |= byte;
  return bits === 0 ? undefined : new Uint8Array(secret.buffer, secret.byteOffset, secret.length);
}

/** The KeyObject itself is left to the collector, at whose end OpenSSL overwrites it. */
export function forgetX25519(privateKey: Uint8Array): void {
  keys.forget(privateKey);
  collectSoon();
}

export function x25519PublicKey(privateKey: Uint8Array): Uint8Array {
  return publicBytes(keys.get(privateKey));
}

/** The same for one that is not used again: nothing of it is kept. */
export function x25519PublicKeyOnce(privateKey: Uint8Array): Uint8Array {
  collectSoon();
  return publicBytes(fromDer(privateKey));
}

/** Loaded by its first use: `wgts show` knows public keys already, or has the addon compute them. */
function crypto(): typeof import('node:crypto') {
  return process.getBuiltinModule('node:crypto');
}

const OKP = { kty: 'OKP', crv: 'X25519' } as const;

/** Not from a JWK, though with OpenSSL 3.0 (Node 20) DER takes ten times as long, 350 us: that would be a string, which cannot be erased. */
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
