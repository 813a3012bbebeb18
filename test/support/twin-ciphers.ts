/**
 * Every implementation of the transport cipher on this machine, with the same keys in the same
 * slots: first the TypeScript twin, which is the reference, then the addon with each AEAD that
 * works here.
 */
import { opensslPacketAead } from '../../src/crypto/node/openssl-packet-aead.ts';
import { nativeBinding } from '../../src/io/native-binding.ts';
import { createNativeCipher } from '../../src/io/native-cipher.ts';
import { MAX_KEY_SLOTS, type TransportCipher } from '../../src/protocol/transport-cipher.ts';
import { TwinCipher } from '../../src/protocol/transport-twin.ts';
import { LanesCipher } from './lanes-cipher.ts';
import { between } from './packet-shapes.ts';
import { type Random, seeded } from './random.ts';

export const TWIN_KEYS: readonly Uint8Array[] = Array.from({ length: 6 }, (_, i) => seeded(i).bytes(32));
/** The slots of the keys. */
export const TWIN_SLOTS: readonly number[] = [0, 1, 511, 512, 70_000, MAX_KEY_SLOTS - 1];
const ERASED = 3;
/** Slots without a key, and numbers that are not slots. */
export const NO_SLOTS: readonly number[] = [2, ERASED, -1, MAX_KEY_SLOTS, 0x7fffffff, -0x80000000];

/** With lanes, which must change nothing. */
const LANES = 8;

/** Returns the ciphers, at least one of them the addon's. */
export function twinCiphers(): readonly TransportCipher[] {
  const binding = nativeBinding();
  const usable = binding.cipherProviders().filter(provider => provider.problem === undefined);
  const native = usable.map(({ name }) => createNativeCipher(binding, name)!);
  const shared = native.slice(0, 1).map(cipher => new LanesCipher(binding, cipher.another(), LANES));
  const all = [new TwinCipher(opensslPacketAead), ...native, ...shared];
  if (all.length < 2) throw new Error('the addon has no AEAD here');
  for (const cipher of all) {
    for (const [i, slot] of TWIN_SLOTS.entries()) cipher.setKey(slot, TWIN_KEYS[i]!);
    cipher.setKey(ERASED, TWIN_KEYS[0]!);
    cipher.eraseKey(ERASED);
  }
  console.log(all.map(cipher => cipher.name).join('; '));
  return all;
}

/** Returns any half of a counter, as the i32 in a job. */
export const anyHalf = (random: Random): number => random.below(2 ** 32) | 0;
/** Returns one of the last values before a half wraps around to zero. */
export const lateHalf = (random: Random): number => -between(random, 1, 70);
