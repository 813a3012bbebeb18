/** Static keys of the devices. */
import { randomBytes } from 'node:crypto';
import { clampPrivateKey } from '#dist/base/key.js';
import { opensslCrypto } from '#dist/crypto/node/openssl.js';

export interface KeyPair {
  readonly privateKey: Uint8Array;
  readonly publicKey: Uint8Array;
}

export function makeKeyPair(): KeyPair {
  const privateKey = clampPrivateKey(Uint8Array.from(randomBytes(32)));
  return { privateKey, publicKey: opensslCrypto.publicKey(privateKey) };
}
