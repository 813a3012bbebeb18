/** The public key of a private key that is somebody else's: nothing of it is kept. */
import { copySecret } from '../base/secret.ts';
import { x25519PublicKeyOnce } from '../crypto/openssl-x25519.ts';
import { hasNativeBinding, nativeBinding } from './native-binding.ts';

export function publicKeyOf(privateKey: Uint8Array): Uint8Array {
  const binding = hasNativeBinding() ? nativeBinding() : undefined;
  // not exported where Node does not export its OpenSSL
  if (!binding?.x25519Key) return x25519PublicKeyOnce(privateKey);
  const scratch = copySecret(privateKey);
  binding.x25519Fresh(scratch, 1, 0);
  return scratch;
}
