/** Pauses that double after each failure. */

/**
 * Returns the pause in milliseconds after the given number of failures in a row: 0 without a
 * failure, then `firstMs`, doubled after each further failure, up to `longestMs`.
 */
export function pauseAfter(failures: number, firstMs: number, longestMs: number): number {
  return failures === 0 ? 0 : Math.min(longestMs, firstMs * 2 ** (failures - 1));
}

/** Counts failures in a row. It does not sleep and needs no clock. */
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

  /** Resets the count, after a success. */
  reset(): void {
    this.#failures = 0;
  }
}
