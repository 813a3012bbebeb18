/**
 * Computes X25519 through the addon (native/x25519.c). Takes keys as plain bytes. A call with many
 * keys uses several cores.
 */
import { copySecret } from '../../base/bytes.ts';
import { expectJobs } from '../dh-many.ts';
import type { CryptoProvider, EphemeralKeys } from '../provider.ts';
import { expectDh, expectSize, KEY_SIZE } from '../sizes.ts';
import { KeptKeys } from './kept-keys.ts';

declare const handle: unique symbol;
interface X25519Handle {
  readonly [handle]: 'x25519';
}

/** The addon's exports for this file; all are absent if Node does not export its OpenSSL. */
export interface X25519Binding {
  x25519Key?(scratch: Uint8Array): X25519Handle;
  /** Invalidates the handle. */
  x25519Erase(key: X25519Handle): void;
  x25519Shared(key: X25519Handle, scratch: Uint8Array, count: number): void;
  x25519Fresh(scratch: Uint8Array, groups: number, publicKeys: number): void;
}

/** Keys per call into native code. */
const ROOM = 256;

/** Creates the functions. @returns undefined if the addon has no X25519 functions */
export function createNativeX25519(
  binding: X25519Binding,
): Pick<CryptoProvider, 'dh' | 'publicKey' | 'forget' | 'dhMany' | 'dhEphemeral'> | undefined {
  const { x25519Key } = binding;
  if (!x25519Key) return undefined;
  const scratch = new Uint8Array(ROOM * KEY_SIZE);
  const keys = new KeptKeys(
    privateKey => {
      scratch.set(privateKey);
      return { key: x25519Key(scratch), publicKey: scratch.slice(0, KEY_SIZE) };
    },
    ({ key }) => binding.x25519Erase(key),
  );

  /** Copies the key at an index of the scratch memory and erases it there. */
  const take = (place: number): Uint8Array => {
    const at = place * KEY_SIZE;
    const result = copySecret(scratch.subarray(at, at + KEY_SIZE));
    scratch.fill(0, at, at + KEY_SIZE);
    return result;
  };
  const takeShared = (place: number): Uint8Array | undefined => unlessZero(take(place));

  return {
    dh(privateKey, publicKey) {
      expectDh(privateKey, publicKey);
      const { key } = keys.get(privateKey);
      scratch.set(publicKey);
      binding.x25519Shared(key, scratch, 1);
      return takeShared(0);
    },

    publicKey(privateKey) {
      expectSize('a private key', privateKey, KEY_SIZE);
      return keys.get(privateKey).publicKey.slice();
    },

    forget: privateKey => keys.forget(privateKey),

    dhMany(privateKey, publicKeys) {
      expectDh(privateKey, ...publicKeys);
      const { key } = keys.get(privateKey);
      const shared: (Uint8Array | undefined)[] = [];
      for (let from = 0; from < publicKeys.length; from += ROOM) {
        const some = publicKeys.slice(from, from + ROOM);
        for (const [i, publicKey] of some.entries()) scratch.set(publicKey, i * KEY_SIZE);
        binding.x25519Shared(key, scratch, some.length);
        for (let i = 0; i < some.length; i++) shared.push(takeShared(i));
      }
      return shared;
    },

    dhEphemeral(jobs) {
      const size = 1 + expectJobs(jobs);
      const perCall = Math.floor(ROOM / size);
      if (perCall === 0) throw new RangeError(`more than ${ROOM - 1} public keys for one private key`);
      const made: EphemeralKeys[] = [];
      for (let from = 0; from < jobs.length; from += perCall) {
        const some = jobs.slice(from, from + perCall);
        for (const [i, { privateKey, publicKeys }] of some.entries()) {
          scratch.set(privateKey, i * size * KEY_SIZE);
          for (const [k, publicKey] of publicKeys.entries()) scratch.set(publicKey, (i * size + 1 + k) * KEY_SIZE);
        }
        binding.x25519Fresh(scratch, some.length, size - 1);
        for (let i = 0; i < some.length; i++) {
          const publicKey = take(i * size);
          const shared = Array.from({ length: size - 1 }, (_, k) => takeShared(i * size + 1 + k));
          made.push({ publicKey, shared });
        }
      }
      return made;
    },
  };
}

function unlessZero(secret: Uint8Array): Uint8Array | undefined {
  let bits = 0;
  for (const byte of secret) bits |= byte;
  return bits === 0 ? undefined : secret;
}
