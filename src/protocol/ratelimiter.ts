/**
 * Limits the initiations answered per source: a token bucket for each IPv4 address and each IPv6
 * /64, 20 per second with bursts of 5 (kernel ratelimiter.c). Used only under load and after a
 * valid mac2, so sources cannot be forged. The table is bounded nevertheless; while it is full, new
 * sources are refused.
 */
import { ENDPOINT_ADDRESS, ENDPOINT_FAMILY } from '../base/endpoint.ts';
import { readU32be } from '../packet/byte-order.ts';
import { RATELIMIT_BURST, RATELIMIT_MAX_ENTRIES, RATELIMIT_PER_SECOND } from './constants.ts';
import type { RateLimiterState } from './engine-state.ts';

interface Bucket {
  /** Tokens, counted in milliseconds: each answer takes COST of them. */
  tokens: number;
  last: number;
}

const COST = 1000 / RATELIMIT_PER_SECOND;
/** The most tokens that a source can have. */
export const FULL_BUCKET = COST * RATELIMIT_BURST;
/** A bucket that is unused for this long is full again and can be dropped. */
const FORGET_AFTER_MS = 1000;

export class RateLimiter {
  readonly #buckets4 = new Map<number, Bucket>();
  readonly #buckets6 = new Map<bigint, Bucket>();
  readonly #capacity: number;
  #lastSweep = 0;

  constructor(capacity = RATELIMIT_MAX_ENTRIES) {
    this.#capacity = capacity;
  }

  get size(): number {
    return this.#buckets4.size + this.#buckets6.size;
  }

  /** Reports whether the source, an endpoint record at an offset, may get another answer now. */
  allow(endpoints: Uint8Array, at: number, now: number): boolean {
    if (now - this.#lastSweep >= FORGET_AFTER_MS) this.#sweep(now);
    const high = readU32be(endpoints, at + ENDPOINT_ADDRESS);
    if (endpoints[at + ENDPOINT_FAMILY] === 4) return this.#take(this.#buckets4, high, now);
    const low = readU32be(endpoints, at + ENDPOINT_ADDRESS + 4);
    return this.#take(this.#buckets6, (BigInt(high) << 32n) | BigInt(low), now);
  }

  save(): RateLimiterState {
    const four = [...this.#buckets4];
    const six = [...this.#buckets6];
    return {
      sources4: Uint32Array.from(four, ([source]) => source),
      tokens4: Float64Array.from(four, ([, { tokens }]) => tokens),
      last4: Float64Array.from(four, ([, { last }]) => last),
      sources6: Uint32Array.from(six.flatMap(([source]) => [Number(source >> 32n), Number(source & 0xffffffffn)])),
      tokens6: Float64Array.from(six, ([, { tokens }]) => tokens),
      last6: Float64Array.from(six, ([, { last }]) => last),
      lastSweep: this.#lastSweep,
    };
  }

  restore(state: RateLimiterState): void {
    const { sources4, tokens4, last4, sources6, tokens6, last6 } = state;
    for (const [i, source] of sources4.entries()) this.#buckets4.set(source, { tokens: tokens4[i]!, last: last4[i]! });
    for (let i = 0; i < tokens6.length; i++) {
      const source = (BigInt(sources6[2 * i]!) << 32n) | BigInt(sources6[2 * i + 1]!);
      this.#buckets6.set(source, { tokens: tokens6[i]!, last: last6[i]! });
    }
    this.#lastSweep = state.lastSweep;
  }

  #take<K>(buckets: Map<K, Bucket>, key: K, now: number): boolean {
    const bucket = buckets.get(key);
    if (!bucket) {
      if (this.size >= this.#capacity) return false;
      buckets.set(key, { tokens: FULL_BUCKET - COST, last: now });
      return true;
    }
    bucket.tokens = Math.min(FULL_BUCKET, bucket.tokens + (now - bucket.last));
    bucket.last = now;
    if (bucket.tokens < COST) return false;
    bucket.tokens -= COST;
    return true;
  }

  #sweep(now: number): void {
    this.#lastSweep = now;
    for (const buckets of [this.#buckets4, this.#buckets6] as Map<unknown, Bucket>[])
      for (const [key, bucket] of buckets) if (now - bucket.last >= FORGET_AFTER_MS) buckets.delete(key);
  }
}
