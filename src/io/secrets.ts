/**
 * Protects keys with the help of the addon: computes public keys without keeping a copy of the
 * private key, and prevents core dumps.
 */
import { copySecret } from '../base/bytes.ts';
import { x25519PublicKeyOnce } from '../crypto/node/openssl-x25519.ts';
import { hasNativeBinding, nativeBinding } from './native-binding.ts';

/**
 * Returns the public key of a private key that the caller owns. Keeps no copy of the private key.
 */
export function publicKeyOf(privateKey: Uint8Array): Uint8Array {
  const binding = hasNativeBinding() ? nativeBinding() : undefined;
  // the addon lacks this function if Node does not export its OpenSSL
  if (!binding?.x25519Key) return x25519PublicKeyOnce(privateKey);
  const scratch = copySecret(privateKey);
  binding.x25519Fresh(scratch, 1, 0);
  return scratch;
}

/**
 * Keeps the memory of this process out of core dumps, whatever limits and kernel.core_pattern are
 * set to, and away from other processes of its user, until the process ends (native/secrecy.c).
 * Root can still attach a debugger or read /proc/PID/mem. Does nothing without the addon, since no
 * device runs without it.
 */
export function forbidDumps(): void {
  try {
    nativeBinding().forbidDumps();
  } catch {
    // go on in a sandbox that forbids prctl; without the addon, code that needs it reports the
    // error
  }
}
