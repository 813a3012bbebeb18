/** WireGuard keys for tests, base64 as `wg` writes them. */
import { createPrivateKey, createPublicKey, randomBytes } from 'node:crypto';

export interface KeyPair {
  readonly privateKey: string;
  readonly publicKey: string;
}

/** RFC 8410: the prefix of the 32 bytes in PKCS #8. */
const PKCS8 = Buffer.from('302e020100300506032b656e04220420', 'hex');

/**
 * Makes a key pair without generateKeyPairSync: exporting such a key during garbage collection can
 * hang Node 20.
 */
export function keyPair(): KeyPair {
  const privateKey = randomBytes(32);
  privateKey[0]! &= 248;
  privateKey[31] = (privateKey[31]! & 127) | 64;
  const key = createPrivateKey({ key: Buffer.concat([PKCS8, privateKey]), format: 'der', type: 'pkcs8' });
  const { x } = createPublicKey(key).export({ format: 'jwk' });
  return { privateKey: privateKey.toString('base64'), publicKey: Buffer.from(x!, 'base64url').toString('base64') };
}

export function presharedKey(): string {
  return randomBytes(32).toString('base64');
}

/** Converts base64 to the hex of the UAPI. */
export function toHex(base64: string): string {
  return Buffer.from(base64, 'base64').toString('hex');
}
