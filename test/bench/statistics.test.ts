import { describe, expect, test } from 'vitest';
import { median, percentile, ratio } from '#dist/bench/statistics.js';
import { highestRate } from '#dist/bench/tunnel/highest-rate.js';

describe('median and percentile', () => {
  test('for odd and even counts, in any order', () => {
    expect(median([3, 1, 2])).toBe(2);
    expect(median([4, 1, 2, 3])).toBe(2.5);
    expect(median([])).toBeNaN();
  });

  test('percentiles are interpolated between neighbours', () => {
    const values = Array.from({ length: 101 }, (_, i) => 100 - i);
    expect(percentile(values, 99)).toBe(99);
    expect(percentile([1, 2], 50)).toBe(1.5);
    expect(percentile([7], 99)).toBe(7);
  });
});

describe('ratio', () => {
  test('is taken run by run, so a minute that slows both does not matter', () => {
    const found = ratio([10, 1, 30], [5, 0.5, 10]);
    expect(found).toEqual({ paired: 2, ofMedians: 2, pairs: 3 });
  });

  test('skips runs that failed on either side', () => {
    expect(ratio([10, undefined, 30], [5, 5, undefined])).toEqual({ paired: 2, ofMedians: 4, pairs: 1 });
    expect(ratio([undefined], [5])).toBeUndefined();
    expect(ratio([1], [])).toBeUndefined();
  });
});

describe('highestRate', () => {
  const bounds = { from: 100, to: 10_000, halvings: 4, attempts: 1 };
  const upTo = (limit: number) => async (rate: number) => ({ good: rate <= limit, value: rate, reached: true });

  test('approaches the limit from below', async () => {
    for (const limit of [20, 99, 100, 101, 777, 3210]) {
      const found = await highestRate(bounds, upTo(limit));
      expect(found).toBeLessThanOrEqual(limit);
      expect(found).toBeGreaterThan(limit / 2 ** (1 / 16) / 1.001);
    }
  });

  test('ends at its upper bound, and if no rate is good', async () => {
    expect(await highestRate(bounds, upTo(1e9))).toBe(10_000);
    expect(await highestRate(bounds, upTo(1))).toBe(0);
  });

  test('ends when the sender is at its limit', async () => {
    const asked: number[] = [];
    const found = await highestRate(bounds, async rate => {
      asked.push(rate);
      return { good: true, value: Math.min(rate, 250), reached: rate <= 250 };
    });
    expect(found).toBe(250);
    expect(asked).toEqual([100, 200, 400]);
  });

  test('retries before it calls a rate bad', async () => {
    let calls = 0;
    const found = await highestRate({ ...bounds, to: 100, attempts: 2 }, async rate => ({
      good: calls++ > 0,
      value: rate,
      reached: true,
    }));
    expect(found).toBe(100);
  });
});
