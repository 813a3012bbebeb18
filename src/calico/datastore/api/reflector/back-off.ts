/**
 * Back-off between retries. The clock and the random numbers are injected, which makes tests fast
 * and deterministic.
 */
import { setTimeout as wait } from 'node:timers/promises';
import { BackOff } from '../../../../base/back-off.ts';

export interface Pace {
  /** Unix time, milliseconds. */
  now(): number;
  /** Resolves after this many milliseconds, or when the signal aborts. */
  sleep(milliseconds: number, signal: AbortSignal): Promise<void>;
  /** Returns a number from 0 to 1. */
  random(): number;
}

export const SYSTEM_PACE: Pace = {
  now: () => Date.now(),
  sleep: async (milliseconds, signal) => {
    await wait(milliseconds, undefined, { signal }).catch(() => undefined);
  },
  random: () => Math.random(),
};

const FIRST_PAUSE_MS = 500;
/** Longest delay before changes are seen after an outage. */
const LONGEST_PAUSE_MS = 10_000;

/**
 * Doubles the pause after each failure, up to 10 s. Jitter keeps clients that lost the same server
 * from retrying together.
 */
export class JitteredBackOff {
  readonly #pace: Pace;
  readonly #backOff = new BackOff(FIRST_PAUSE_MS, LONGEST_PAUSE_MS);

  constructor(pace: Pace) {
    this.#pace = pace;
  }

  /**
   * Returns the next pause in milliseconds.
   * @param least the pause that the server asks for (Retry-After), capped at 300 s
   */
  next(least = 0): number {
    const most = this.#backOff.next();
    const own = most * (0.5 + this.#pace.random() / 2);
    return Math.max(own, Math.min(least, 30 * LONGEST_PAUSE_MS) * (1 + this.#pace.random() / 10));
  }

  reset(): void {
    this.#backOff.reset();
  }
}
