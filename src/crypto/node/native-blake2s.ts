/**
 * Computes BLAKE2s, its HMAC and the key derivation through the addon (native/blake2s.c). Each
 * operation is one native call and creates no object except the result.
 */
import { copySecret } from '../../base/bytes.ts';
import type { CryptoProvider } from '../provider.ts';
import { expectMacKey, expectSize, KEY_SIZE } from '../sizes.ts';
import { opensslCrypto } from './openssl.ts';

declare const handle: unique symbol;
interface Blake2sHandle {
  readonly [handle]: 'blake2s';
}

/** The addon's exports for this file; all are absent if Node does not export its OpenSSL. */
export interface Blake2sBinding {
  blake2sOpen?(): Blake2sHandle | undefined;
  blake2sHash(blake2s: Blake2sHandle, scratch: Uint8Array, length: number): void;
  blake2sMac(blake2s: Blake2sHandle, scratch: Uint8Array, keyLength: number, length: number): void;
  blake2sHmac(blake2s: Blake2sHandle, scratch: Uint8Array, keyLength: number, length: number): void;
  blake2sKdf(blake2s: Blake2sHandle, scratch: Uint8Array, length: number, keys: number): void;
}

/** Size of the scratch memory: more than a handshake needs. Longer input goes to opensslCrypto. */
const ROOM = 1024;
const HASH_SIZE = 32;
const MAC_SIZE = 16;

/** Creates the functions. @returns undefined if the addon has no BLAKE2s functions */
export function createNativeBlake2s(
  binding: Blake2sBinding,
): Pick<CryptoProvider, 'hash' | 'mac' | 'hmac' | 'kdf'> | undefined {
  const blake2s = binding.blake2sOpen?.();
  if (!blake2s) return undefined;
  const scratch = new Uint8Array(ROOM);

  /** Copies the result from the beginning of the scratch memory and erases it there. */
  const take = (size: number): Uint8Array => {
    const result = scratch.slice(0, size);
    scratch.fill(0, 0, size);
    return result;
  };

  return {
    hash(...parts) {
      let length = 0;
      for (const part of parts) length += part.length;
      if (length > ROOM) return opensslCrypto.hash(...parts);
      length = 0;
      for (const part of parts) {
        scratch.set(part, length);
        length += part.length;
      }
      binding.blake2sHash(blake2s, scratch, length);
      return take(HASH_SIZE);
    },

    mac(key, data) {
      expectMacKey(key);
      if (key.length + data.length > ROOM) return opensslCrypto.mac(key, data);
      scratch.set(key);
      scratch.set(data, key.length);
      binding.blake2sMac(blake2s, scratch, key.length, data.length);
      return take(MAC_SIZE);
    },

    hmac(key, data) {
      if (key.length + data.length > ROOM) return opensslCrypto.hmac(key, data);
      scratch.set(key);
      scratch.set(data, key.length);
      binding.blake2sHmac(blake2s, scratch, key.length, data.length);
      return take(HASH_SIZE);
    },

    kdf(chainingKey, input, keys) {
      expectSize('a chaining key', chainingKey, KEY_SIZE);
      if (KEY_SIZE + input.length > ROOM) return opensslCrypto.kdf(chainingKey, input, keys);
      scratch.set(chainingKey);
      scratch.set(input, KEY_SIZE);
      binding.blake2sKdf(blake2s, scratch, input.length, keys);
      const made: Uint8Array[] = [];
      for (let n = 0; n < keys; n++) made.push(copySecret(scratch.subarray(n * HASH_SIZE, (n + 1) * HASH_SIZE)));
      scratch.fill(0, 0, keys * HASH_SIZE);
      return made;
    },
  };
}
