/** Seeded randomness for tests: a failing run prints its seed, and TEST_SEED replays it. */

export interface Random {
  readonly seed: number;
  /** In [0, 1). */
  next(): number;
  /** A whole number from 0 to n - 1. */
  below(n: number): number;
  chance(probability: number): boolean;
  bytes(n: number): Uint8Array;
  fill(bytes: Uint8Array): void;
  pick<T>(items: readonly T[]): T;
}

/** mulberry32: 32 bits of state, good enough to choose test cases. */
export function seeded(seed: number): Random {
  let state = seed >>> 0;
  const next = () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let t = state;
    t = Math.imul(t ^ (t >>> 15), t | 1);
    t ^= t + Math.imul(t ^ (t >>> 7), t | 61);
    return ((t ^ (t >>> 14)) >>> 0) / 2 ** 32;
  };
  const fill = (bytes: Uint8Array) => {
    for (let i = 0; i < bytes.length; i++) bytes[i] = next() * 256;
  };
  return {
    seed,
    next,
    below: n => Math.floor(next() * n),
    chance: probability => next() < probability,
    bytes: n => {
      const bytes = new Uint8Array(n);
      fill(bytes);
      return bytes;
    },
    fill,
    pick: items => items[Math.floor(next() * items.length)]!,
  };
}

/** The seed of this run: TEST_SEED, or a new one. */
export function testSeed(): number {
  const given = process.env['TEST_SEED'];
  return given === undefined ? Math.floor(Math.random() * 2 ** 32) : Number(given);
}

/** Runs with a seed, and adds it to the message of a failure. */
export function withSeed(run: (random: Random) => void, seed = testSeed()): void {
  try {
    run(seeded(seed));
  } catch (error) {
    (error as Error).message += `\n(replay with TEST_SEED=${seed})`;
    throw error;
  }
}
