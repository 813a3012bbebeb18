/**
 * Timestamps of initiations; transcripts.test.ts compares them with the vectors of another program.
 */
import { expect, test } from 'vitest';
import { nobleCrypto } from '../../src/crypto/noble.ts';
import { Device } from '../../src/protocol/device.ts';
import { compareTai64n, tai64n, tai64nAfter } from '../../src/protocol/tai64n.ts';
import { packetCipher } from '../support/crypto-providers.ts';
import { withSeed } from '../support/random.ts';
import { toHex } from '../support/vectors.ts';

const NOW = 1_700_000_000_123_456_789n;
const SECOND = 1_000_000_000n;

/** A device whose wall clock the test controls. */
function clock() {
  const time = { wall: NOW };
  const device = new Device({
    crypto: nobleCrypto,
    cipher: packetCipher(nobleCrypto),
    random: bytes => bytes.fill(1),
    wall: () => time.wall,
  });
  return { time, stamp: () => device.timestamp() };
}

test('begins at 2^62 + 10 s, the TAI of 1970', () => {
  expect(toHex(tai64n(0n))).toBe('400000000000000a00000000');
  expect(toHex(tai64n(SECOND))).toBe('400000000000000b00000000');
});

test('has a resolution of 2^24 ns', () => {
  withSeed(random => {
    for (let i = 0; i < 1000; i++) {
      const wall = BigInt(random.below(2 ** 31)) * SECOND + BigInt(random.below(1e9));
      const stamp = tai64n(wall);
      expect([stamp[9], stamp[10], stamp[11]]).toEqual([0, 0, 0]);
      const said = new DataView(stamp.buffer).getBigUint64(0) - 0x400000000000000an;
      expect(said).toBe(wall / SECOND);
      expect(Number(wall % SECOND) - new DataView(stamp.buffer).getUint32(8)).toBeLessThan(2 ** 24);
    }
  });
});

test('orders like time, over all its bytes', () => {
  const times = [0n, 2n ** 24n, SECOND, 255n * SECOND, 256n * SECOND, 2n ** 32n * SECOND, 2n ** 40n * SECOND];
  for (const [i, one] of times.entries())
    for (const [j, two] of times.entries())
      expect(Math.sign(compareTai64n(tai64n(one), tai64n(two)))).toBe(Math.sign(i - j));
});

test('the next instant is later, by at most 2^24 ns or up to the next second', () => {
  withSeed(random => {
    for (let i = 0; i < 1000; i++) {
      const wall = NOW + BigInt(random.below(1e9)) * BigInt(random.pick([1, 1000]));
      const next = tai64nAfter(wall);
      expect(compareTai64n(tai64n(next), tai64n(wall))).toBeGreaterThan(0);
      expect(next - wall).toBeLessThanOrEqual(2n ** 24n);
    }
  });
});

test('a device never uses a timestamp twice, even if its clock stands still', () => {
  const { stamp } = clock();
  let last = stamp();
  expect(last).toEqual(tai64n(NOW));
  for (let i = 0; i < 200; i++) {
    const next = stamp();
    expect(compareTai64n(next, last)).toBeGreaterThan(0);
    last = next;
  }
});

test('a device continues from its last timestamp if the clock is set back, and follows the clock once that is ahead', () => {
  const { time, stamp } = clock();
  const before = stamp();
  time.wall -= 3600n * SECOND;
  const after = stamp();
  expect(compareTai64n(after, before)).toBeGreaterThan(0);
  time.wall = NOW + SECOND;
  expect(stamp()).toEqual(tai64n(NOW + SECOND));
});
