import { describe, expect, test } from 'vitest';
import { parseAddress } from '../../src/base/address.ts';
import { makeEndpoint } from '../../src/base/endpoint.ts';
import { RateLimiter } from '../../src/protocol/ratelimiter.ts';

const from = (address: string, port = 1) => makeEndpoint(parseAddress(address)!, port);
const allow = (limiter: RateLimiter, address: string, now: number, port = 1) =>
  limiter.allow(from(address, port), 0, now);

describe('one source', () => {
  test('gets five answers at once, then one every 50 ms', () => {
    // the sequence of the kernel's selftest/ratelimiter.c: milliseconds to wait, and the expected
    // result
    const limiter = new RateLimiter();
    const steps: [number, boolean][] = [
      ...new Array<[number, boolean]>(5).fill([0, true]),
      [0, false],
      [50, true],
      [0, false],
      [100, true],
      [0, true],
      [0, false],
    ];
    let now = 5000;
    steps.forEach(([wait, allowed], i) => {
      now += wait;
      expect(allow(limiter, '192.0.2.1', now), `step ${i}`).toBe(allowed);
    });
  });

  test('accumulates at most five, however long it was silent', () => {
    const limiter = new RateLimiter();
    allow(limiter, '192.0.2.1', 0);
    for (const pause of [250, 900, 5000, 1e9]) {
      const results = Array.from({ length: 7 }, () => allow(limiter, '192.0.2.1', pause * 10));
      expect(results).toEqual([true, true, true, true, true, false, false]);
    }
  });

  test('gets twenty per second in the long run, and not fewer for asking more', () => {
    const limiter = new RateLimiter();
    let allowed = 0;
    for (let now = 0; now < 10_000; now++) if (allow(limiter, '192.0.2.1', now)) allowed++;
    expect(allowed).toBeGreaterThanOrEqual(200);
    expect(allowed).toBeLessThanOrEqual(205);
  });

  test('is one source on all its ports', () => {
    const limiter = new RateLimiter();
    const results = [1, 2, 3, 4, 5, 6].map(port => allow(limiter, '192.0.2.1', 0, port));
    expect(results).toEqual([true, true, true, true, true, false]);
  });
});

describe('a source', () => {
  const empty = (limiter: RateLimiter, address: string) => {
    for (let i = 0; i < 5; i++) allow(limiter, address, 0);
    return !allow(limiter, address, 0);
  };

  test('is a complete IPv4 address', () => {
    const limiter = new RateLimiter();
    expect(empty(limiter, '192.0.2.1')).toBe(true);
    expect(['192.0.2.0', '192.0.2.2', '192.0.3.1', '193.0.2.1'].map(a => allow(limiter, a, 0))).toEqual([
      true,
      true,
      true,
      true,
    ]);
    expect(limiter.size).toBe(5);
  });

  test('is an IPv6 /64, regardless of the remaining bits', () => {
    const limiter = new RateLimiter();
    expect(empty(limiter, '2001:db8:1:2::1')).toBe(true);
    expect(allow(limiter, '2001:db8:1:2:ffff:ffff:ffff:ffff', 0)).toBe(false);
    expect(allow(limiter, '2001:db8:1:3::1', 0)).toBe(true);
    expect(allow(limiter, '2001:db9:1:2::1', 0)).toBe(true);
  });

  test('is never shared by an IPv4 address and an IPv6 /64 with the same bytes', () => {
    const limiter = new RateLimiter();
    expect(empty(limiter, '0.0.0.1')).toBe(true);
    expect(allow(limiter, '::', 0)).toBe(true);
    expect(empty(limiter, '0:0:0:1::')).toBe(true);
    expect(allow(limiter, '0.0.0.2', 0)).toBe(true);
  });
});

describe('the table', () => {
  test('is bounded: while it is full, new sources are refused and known ones are not', () => {
    const limiter = new RateLimiter(100);
    for (let i = 0; i < 100; i++) expect(allow(limiter, i % 2 ? `10.0.0.${i}` : `2001:db8:0:${i}::`, 0)).toBe(true);
    expect([allow(limiter, '10.1.0.0', 0), allow(limiter, '2001:db9::', 0)]).toEqual([false, false]);
    expect(allow(limiter, '10.0.0.1', 0)).toBe(true);
    expect(limiter.size).toBe(100);
  });

  test('holds 65,536 sources by default', () => {
    const limiter = new RateLimiter();
    const record = from('10.0.0.0');
    for (let i = 0; i < 70_000; i++) {
      record[5] = i >> 16;
      record[6] = i >> 8;
      record[7] = i;
      limiter.allow(record, 0, 0);
    }
    expect(limiter.size).toBe(65_536);
  });

  test('forgets sources that are silent for a second, which makes room for others', () => {
    const limiter = new RateLimiter(2);
    allow(limiter, '10.0.0.1', 0);
    allow(limiter, '10.0.0.2', 600);
    expect(allow(limiter, '10.0.0.3', 999)).toBe(false);
    expect(allow(limiter, '10.0.0.3', 1000)).toBe(true);
    expect(limiter.size).toBe(2);
    expect(allow(limiter, '10.0.0.4', 1999)).toBe(false);
  });
});
