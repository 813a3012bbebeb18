/** Every transport cipher gives out a copy of a key, and of that key only. */
import { describe, expect, test } from 'vitest';
import { noblePacketAead } from '../../src/crypto/noble-packet-aead.ts';
import { nativeBinding } from '../../src/io/native-binding.ts';
import { MAX_KEY_SLOTS } from '../../src/protocol/transport-cipher.ts';
import { TwinCipher } from '../../src/protocol/transport-twin.ts';
import { NO_SLOTS, TWIN_KEYS, TWIN_SLOTS, twinCiphers } from '../support/twin-ciphers.ts';

const noble = new TwinCipher(noblePacketAead);
for (const [i, slot] of TWIN_SLOTS.entries()) noble.setKey(slot, TWIN_KEYS[i]!);

describe.each([noble, ...twinCiphers()].map(cipher => [cipher.name, cipher] as const))('%s', (_, cipher) => {
  test('copies the key in a slot, and keeps it', () => {
    for (const [i, slot] of TWIN_SLOTS.entries()) {
      const copies = [new Uint8Array(32), new Uint8Array(32)];
      for (const copy of copies) {
        expect(cipher.copyKey(slot, copy)).toBe(true);
        expect(copy).toEqual(TWIN_KEYS[i]);
        copy.fill(0);
      }
    }
  });

  test('leaves the array alone for an empty slot and for numbers that are no slots', () => {
    for (const slot of [...NO_SLOTS, 2 ** 32, 2 ** 32 + 1, MAX_KEY_SLOTS + 511, -1e300]) {
      const into = new Uint8Array(32).fill(7);
      expect([slot, cipher.copyKey(slot, into)]).toEqual([slot, false]);
      expect(into).toEqual(new Uint8Array(32).fill(7));
    }
  });

  test('gives nothing after the key was erased, and the new key after it was replaced', () => {
    const into = new Uint8Array(32);
    cipher.setKey(9, TWIN_KEYS[1]!);
    cipher.setKey(9, TWIN_KEYS[2]!);
    expect([cipher.copyKey(9, into), into]).toEqual([true, TWIN_KEYS[2]]);
    cipher.eraseKey(9);
    expect(cipher.copyKey(9, into)).toBe(false);
  });

  test('refuses an array of another size', () => {
    for (const size of [0, 31, 33])
      expect(() => cipher.copyKey(0, new Uint8Array(size))).toThrow(`a key has 32 bytes, not ${size}`);
  });
});

test('the addon itself checks the size of the array', () => {
  const binding = nativeBinding();
  const provider = binding.cipherProviders().find(({ problem }) => problem === undefined)!;
  const handle = binding.cipherCreate(provider.name)!;
  binding.cipherSetKey(handle, 0, TWIN_KEYS[0]!);
  for (const size of [0, 31, 33]) {
    const into = new Uint8Array(size);
    expect([size, binding.cipherCopyKey(handle, 0, into)]).toEqual([size, false]);
    expect(into).toEqual(new Uint8Array(size));
  }
  expect(() => binding.cipherCopyKey(handle, 0, new Uint16Array(16) as unknown as Uint8Array)).toThrow(TypeError);
});
