import { describe, expect, test } from 'vitest';
import { REPLAY_WINDOW, ReplayWindow } from '../../src/protocol/replay-window.ts';
import { withSeed } from '../support/random.ts';

const REJECT_AFTER = 2n ** 64n - 2n ** 13n - 1n;

function accept(window: ReplayWindow, counter: bigint): boolean {
  return window.accept(Number(counter & 0xffffffffn), Number(counter >> 32n));
}

/** A reference implementation with bigint counters. */
class Model {
  readonly #seen = new Set<bigint>();
  #greatest = -1n;

  accept(counter: bigint): boolean {
    if (counter >= REJECT_AFTER || counter + BigInt(REPLAY_WINDOW) < this.#greatest || this.#seen.has(counter))
      return false;
    this.#seen.add(counter);
    if (counter > this.#greatest) this.#greatest = counter;
    return true;
  }
}

describe('replay window', () => {
  test('accepts each counter once, in order and backwards', () => {
    const forward = new ReplayWindow();
    for (let i = 0n; i < 20_000n; i++) expect(accept(forward, i)).toBe(true);
    for (let i = 20_000n - BigInt(REPLAY_WINDOW); i < 20_000n; i++) expect(accept(forward, i)).toBe(false);
    const backward = new ReplayWindow();
    for (let i = BigInt(REPLAY_WINDOW); i >= 0n; i--) expect(accept(backward, i)).toBe(true);
    expect(accept(backward, 0n)).toBe(false);
  });

  test('accepts a counter exactly at the edge of the window and none below', () => {
    const window = new ReplayWindow();
    expect(accept(window, 100_000n)).toBe(true);
    expect(accept(window, 100_000n - BigInt(REPLAY_WINDOW))).toBe(true);
    expect(accept(window, 100_000n - BigInt(REPLAY_WINDOW) - 1n)).toBe(false);
    expect(accept(window, 0n)).toBe(false);
  });

  test('clears the ring after a large jump', () => {
    const window = new ReplayWindow();
    for (let i = 0n; i < 8192n; i++) accept(window, i);
    expect(accept(window, 3n * 8192n)).toBe(true);
    for (let i = 3n * 8192n - BigInt(REPLAY_WINDOW); i < 3n * 8192n; i++) expect(accept(window, i)).toBe(true);
  });

  test('crosses 2^32 and 2^53 without losing a bit', () => {
    for (const around of [2n ** 32n, 2n ** 53n, 2n ** 63n]) {
      const window = new ReplayWindow();
      for (let i = around - 50n; i < around + 50n; i++) expect(accept(window, i)).toBe(true);
      for (let i = around - 50n; i < around + 50n; i++) expect(accept(window, i)).toBe(false);
    }
  });

  test('refuses every counter from REJECT_AFTER_MESSAGES on, and does not move', () => {
    const window = new ReplayWindow();
    expect(accept(window, 2n ** 64n - 1n)).toBe(false);
    expect(accept(window, REJECT_AFTER)).toBe(false);
    expect(accept(window, 0n)).toBe(true);
    expect(accept(window, REJECT_AFTER - 1n)).toBe(true);
    expect(accept(window, REJECT_AFTER - 1n)).toBe(false);
    expect(accept(window, REJECT_AFTER)).toBe(false);
  });

  test('agrees with a set of all counters, over random walks', () => {
    withSeed(random => {
      for (let walk = 0; walk < 200; walk++) {
        const window = new ReplayWindow();
        const model = new Model();
        let at = BigInt(random.below(2 ** 31)) * BigInt(random.pick([0, 1, 2 ** 20, 2 ** 32]));
        for (let step = 0; step < 500; step++) {
          const reach = random.pick([3, 40, 8100, 8200, 20_000]);
          at += BigInt(random.below(2 * reach) - reach);
          if (at < 0n) at = 0n;
          expect(accept(window, at), `walk ${walk} step ${step} counter ${at}`).toBe(model.accept(at));
        }
      }
    });
  });
});
