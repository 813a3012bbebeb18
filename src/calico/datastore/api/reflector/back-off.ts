/** When to try again. Time and chance are passed in, so that tests need not wait and know what comes. */
import { setTimeout as wait } from 'node:timers/promises';

export interface Pace {
  /** Unix time, milliseconds. */
  now(): number;
  /** Resolves after some milliseconds, or when the signal aborts. */
  sleep(milliseconds: number, signal: AbortSignal): Promise<void>;
  /** From 0 to 1. */
  random(): number;
}

export const SYSTEM_PACE: Pace = {
  now: () => Date.now(),
  sleep: async (milliseconds, signal) => {
    await wait(milliseconds, undefined, { signal }).catch(() => undefined);
  },
  random: () => Math.random(),
};

const FIRST = 500;
/** Changes after an outage are heard of no later than this. */
const LONGEST = 10_000;

/** Twice as long after each failure, up to 10 s, and never the same for all who lost the same server. */
export class Backoff {
  readonly #pace: Pace;
  #failures = 0;

  constructor(pace: Pace) {
    this.#pace = pace;
  }

  /** Milliseconds. @param least as the server asked for, which is kept to within reason */
  next(least = 0): number {
    const most = Math.min(LONGEST, FIRST * 2 ** Math.min(this.#failures++, 10));
    const own = most * (0.5 + this.#pace.random() / 2);
    return Math.max(own, Math.min(least, 30 * LONGEST) * (1 + this.#pace.random() / 10));
  }

  reset(): void {
    this.#failures = 0;
  }
}
