/** What the addon does for keys: public keys without a lasting copy of the private one, and no core dumps. */
import { copySecret } from '../base/bytes.ts';
import { x25519PublicKeyOnce } from '../crypto/node/openssl-x25519.ts';
import { hasNativeBinding, nativeBinding } from './native-binding.ts';

/** Returns the public key of a private key that the caller owns. Keeps nothing of the private key. */
export function publicKeyOf(privateKey: Uint8Array): Uint8Array {
  const binding = hasNativeBinding() ? nativeBinding() : undefined;
  // not exported where Node does not export its OpenSSL
  if (!binding?.x25519Key) return x25519PublicKeyOnce(privateKey);
  const scratch = copySecret(privateKey);
  binding.x25519Fresh(scratch, 1, 0);
  return scratch;
}

/**
 * Keeps the memory of this process out of core dumps, whatever limits and kernel.core_pattern say, and away from other
 * processes of its user, for the rest of its life (native/secrecy.c). Root may still attach a debugger or read
 * /proc/PID/mem. Does nothing without the addon, without which no device runs.
 */
export function forbidDumps(): void {
  try {
    nativeBinding().forbidDumps();
  } catch {
    // a sandbox that forbids prctl is no reason to stop; a missing addon is reported by the code that needs it
  }
}
