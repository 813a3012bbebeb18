/** The warm-up's packets arrive as real ones do, in each backend, and nothing is left behind. */
import { randomFillSync } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';
import { expect, test } from 'vitest';
import { makeBackend } from '../../src/daemon/backend.ts';
import { offloadsWithout } from '../../src/daemon/offloads.ts';
import { WARM_UP_PACKETS, type WarmUpOptions, warmUp, warmUpLater } from '../../src/daemon/warm-up.ts';
import { VNET_HEADER_SIZE } from '../../src/packet/batch.ts';
import {
  SEAL_COUNT,
  SEAL_LENGTH,
  SEAL_OUT_LENGTH,
  SEAL_STRIDE,
  type TransportCipher,
} from '../../src/protocol/transport-cipher.ts';
import { HANG_MS } from '../support/patience.ts';

const verbose: string[] = [];
const log = {
  verbose: (text: string) => void verbose.push(text),
  error: (text: string) => {
    throw new Error(text);
  },
};

/** Returns options whose `held` contains the key slots in use. */
function options(backend: 'native' | 'pure'): WarmUpOptions & { readonly held: Set<string> } {
  const { crypto, makeCipher } = makeBackend(backend, offloadsWithout(new Set()));
  const held = new Set<string>();
  let ciphers = 0;
  return {
    crypto,
    makeCipher: () => watched(makeCipher(), ciphers++, held),
    random: bytes => void randomFillSync(bytes),
    wall: () => BigInt(Date.now()) * 1_000_000n,
    log,
    held,
  };
}

function watched(cipher: TransportCipher, number: number, held: Set<string>): TransportCipher {
  return {
    name: cipher.name,
    setKey(slot, key) {
      held.add(`${number}:${slot}`);
      cipher.setKey(slot, key);
    },
    eraseKey(slot) {
      held.delete(`${number}:${slot}`);
      cipher.eraseKey(slot);
    },
    copyKey: (slot, into) => cipher.copyKey(slot, into),
    seal: (input, output, jobs, count) => cipher.seal(input, output, jobs, count),
    open: (slab, jobs, count) => cipher.open(slab, jobs, count),
  };
}

test.each(['native', 'pure'] as const)('%s: every packet arrives, and every key is erased', backend => {
  const given = options(backend);
  const work = warmUp(given);
  let result = work.next();
  expect(given.held.size).toBeGreaterThan(0);
  let rests = 0;
  for (; !result.done; rests++) result = work.next();
  expect(result.value).toBe(WARM_UP_PACKETS);
  // the real device's packets wait during this work, so it pauses after each round trip
  expect(rests).toBeGreaterThan(WARM_UP_PACKETS / 3);
  expect([...given.held]).toEqual([]);
});

test('a device that ends early ends the warm-up and erases its keys', () => {
  const given = options('native');
  const work = warmUp(given);
  work.next();
  work.next();
  expect(given.held.size).toBeGreaterThan(0);
  work.return(0);
  expect([...given.held]).toEqual([]);
});

test('a second cipher of the same kind has separate keys', () => {
  const { cipher, makeCipher } = makeBackend('native', offloadsWithout(new Set()));
  const other = makeCipher();
  other.setKey(0, new Uint8Array(32));
  const seal = (by: TransportCipher) => {
    const jobs = new Int32Array(SEAL_STRIDE);
    jobs[SEAL_LENGTH] = VNET_HEADER_SIZE;
    jobs[SEAL_COUNT] = 1;
    by.seal(new Uint8Array(VNET_HEADER_SIZE), new Uint8Array(64), jobs, 1);
    return jobs[SEAL_OUT_LENGTH];
  };
  expect(seal(other)).toBe(32);
  expect(seal(cipher)).toBe(0);
});

test('it works only while the device is quiet', async () => {
  let made = 0;
  let quiet = 0;
  const given = options('native');
  const makeCipher = () => {
    made++;
    return given.makeCipher();
  };
  const stop = warmUpLater({ ...given, makeCipher, quietFor: () => quiet });
  try {
    await sleep(1300);
    expect(made).toBe(0);
    quiet = 1000;
    for (const end = Date.now() + HANG_MS; made === 0 && Date.now() < end; ) await sleep(10);
    expect(made).toBe(2);
    // it works for one round trip or one millisecond at a time, so keys are still in use
    expect(given.held.size).toBeGreaterThan(0);
  } finally {
    stop();
  }
  expect([...given.held]).toEqual([]);
});

test('an error is logged, and the device continues', async () => {
  const stop = warmUpLater({
    ...options('native'),
    quietFor: () => 1000,
    makeCipher: () => {
      throw new Error('no memory');
    },
  });
  try {
    await expect.poll(() => verbose).toEqual(['warming up: no memory']);
  } finally {
    stop();
  }
});
