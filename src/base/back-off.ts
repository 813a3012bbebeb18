/** Pauses that double after each failure. */

/**
 * Returns the pause in milliseconds after so many failures in a row: none, `firstMs`, doubled up to
 * `longestMs`.
 */
export function pauseAfter(failures: number, firstMs: number, longestMs: number): number {
  return failures === 0 ? 0 : Math.min(longestMs, firstMs * 2 ** (failures - 1));
}

/** Counts failures in a row. Neither sleeps nor knows a clock. */
export class BackOff {
  readonly #firstMs: number;
  readonly #longestMs: number;
  #failures = 0;

  constructor(firstMs: number, longestMs: number) {
    this.#firstMs = firstMs;
    this.#longestMs = longestMs;
  }

  /** Counts a failure. @returns the pause after it, in milliseconds */
  next(): number {
    return pauseAfter(++this.#failures, this.#firstMs, this.#longestMs);
  }

  /** Begins anew after a success. */
  reset(): void {
    this.#failures = 0;
  }
}
