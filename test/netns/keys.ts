/** WireGuard keys for tests, base64 as `wg` writes them. */
import { generateKeyPairSync, randomBytes } from 'node:crypto';

export interface KeyPair {
  readonly privateKey: string;
  readonly publicKey: string;
}

export function keyPair(): KeyPair {
  const jwk = generateKeyPairSync('x25519').privateKey.export({ format: 'jwk' });
  const privateKey = Buffer.from(jwk.d ?? '', 'base64url');
  // OpenSSL keeps the scalar unclamped; wg shows it clamped.
  privateKey[0]! &= 248;
  privateKey[31] = (privateKey[31]! & 127) | 64;
  return {
    privateKey: privateKey.toString('base64'),
    publicKey: Buffer.from(jwk.x ?? '', 'base64url').toString('base64'),
  };
}

export function presharedKey(): string {
  return randomBytes(32).toString('base64');
}

/** The other spelling, of the UAPI. */
export function toHex(base64: string): string {
  return Buffer.from(base64, 'base64').toString('hex');
}
