/**
 * Every provider against noble with random inputs of random sizes. CRYPTO_CASES sets how many
 * (300); TEST_SEED replays a run.
 */
import { describe, expect, test } from 'vitest';
import type { CryptoProvider } from '../../src/crypto/provider.ts';
import { cryptoProviders } from '../support/crypto-providers.ts';
import { type Random, withSeed } from '../support/random.ts';
import { toHex } from '../support/vectors.ts';

const CASES = Number(process.env['CRYPTO_CASES'] ?? 300);
const [noble, ...others] = cryptoProviders;

/** Random sizes, mostly around the block sizes of 16 and 64 bytes. */
function size(random: Random): number {
  if (random.chance(0.1)) return random.below(5000);
  return Math.max(0, 16 * random.below(12) + random.below(5) - 2);
}

/** Some arrays are views into larger ones, like parts of a message. */
function bytes(random: Random, length: number): Uint8Array {
  const before = random.chance(0.5) ? random.below(20) : 0;
  return random.bytes(before + length + random.below(9)).subarray(before, before + length);
}

type Run = (crypto: CryptoProvider) => Uint8Array | undefined | readonly (Uint8Array | undefined)[];

const operations: Record<string, (random: Random) => Run> = {
  hash: random => {
    const parts = Array.from({ length: random.below(5) }, () => bytes(random, size(random)));
    return crypto => crypto.hash(...parts);
  },
  mac: random => {
    const [key, data] = [bytes(random, 1 + random.below(32)), bytes(random, size(random))];
    return crypto => crypto.mac(key, data);
  },
  hmac: random => {
    const [key, data] = [bytes(random, size(random)), bytes(random, size(random))];
    return crypto => crypto.hmac(key, data);
  },
  kdf: random => {
    const [chainingKey, input, keys] = [
      bytes(random, 32),
      bytes(random, size(random)),
      (1 + random.below(3)) as 1 | 2 | 3,
    ];
    return crypto => crypto.kdf(chainingKey, input, keys);
  },
  dh: random => {
    const [privateKey, point] = [bytes(random, 32), bytes(random, 32)];
    return crypto => crypto.dh(privateKey, point);
  },
  publicKey: random => {
    const privateKey = bytes(random, 32);
    return crypto => crypto.publicKey(privateKey);
  },
  dhMany: random => {
    const [privateKey, points] = [bytes(random, 32), pointsOf(random, random.below(12))];
    return crypto => crypto.dhMany(privateKey, points);
  },
  dhEphemeral: random => {
    const each = random.below(4);
    const jobs = Array.from({ length: random.below(12) }, () => ({
      privateKey: bytes(random, 32),
      publicKeys: pointsOf(random, each),
    }));
    return crypto => crypto.dhEphemeral(jobs).flatMap(({ publicKey, shared }) => [publicKey, ...shared]);
  },
  seal: random => {
    const given = [
      bytes(random, 32),
      bytes(random, 12),
      bytes(random, size(random)),
      bytes(random, size(random)),
    ] as const;
    return crypto => crypto.seal(...given);
  },
  open: random => opening(random, 12, 'seal', 'open'),
  xseal: random => {
    const given = [
      bytes(random, 32),
      bytes(random, 24),
      bytes(random, size(random)),
      bytes(random, size(random)),
    ] as const;
    return crypto => crypto.xseal(...given);
  },
  xopen: random => opening(random, 24, 'xseal', 'xopen'),
};

/** One point in ten is of low order. */
function pointsOf(random: Random, count: number): Uint8Array[] {
  return Array.from({ length: count }, () => (random.chance(0.1) ? new Uint8Array(32) : bytes(random, 32)));
}

/** Ciphertext of noble; in half of the cases with one bit flipped. */
function opening(random: Random, nonceSize: number, seal: 'seal' | 'xseal', open: 'open' | 'xopen'): Run {
  const [key, nonce] = [bytes(random, 32), bytes(random, nonceSize)];
  const [plaintext, aad] = [bytes(random, size(random)), bytes(random, size(random))];
  const sealed = noble![seal](key, nonce, plaintext, aad);
  const spoilt = random.chance(0.5);
  if (spoilt) sealed[random.below(sealed.length)]! ^= 1 << random.below(8);
  return crypto => {
    const opened = crypto[open](key, nonce, sealed, aad);
    expect(toHex(opened)).toBe(spoilt ? undefined : toHex(plaintext));
    return opened;
  };
}

describe('equals noble for random inputs', () => {
  test('covers every operation of the contract', () => {
    const functions = Object.entries(noble!).filter(([, value]) => typeof value === 'function');
    expect(Object.keys(operations).sort()).toEqual(
      functions
        .map(([name]) => name)
        .filter(name => name !== 'equal' && name !== 'forget')
        .sort(),
    );
  });

  for (const crypto of others)
    for (const [name, make] of Object.entries(operations))
      test(`${crypto.name}: ${name}`, () =>
        withSeed(random => {
          for (let i = 0; i < CASES; i++) {
            const run = make(random);
            expect([run(crypto)].flat().map(toHex), `case ${i}`).toEqual([run(noble!)].flat().map(toHex));
          }
        }));
});
