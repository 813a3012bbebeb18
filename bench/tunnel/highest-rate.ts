/** Searches for the highest rate that works: doubles the rate until it fails, then bisects. */

export interface Probe {
  /** Whether the rate worked. */
  readonly good: boolean;
  /** The throughput that arrived. */
  readonly value: number;
  /** Whether the sender reached the requested rate. If not, higher rates need not be tried. */
  readonly reached: boolean;
}

export interface Search {
  /** The first rate. */
  readonly from: number;
  /** The highest rate. */
  readonly to: number;
  /**
   * The number of bisections of the interval between a good and a bad rate. Each takes the square
   * root of their ratio: after 4 bisections it is 2^(1/16), which is 4 %.
   */
  readonly halvings: number;
  /** Attempts before a rate counts as bad, so that one hiccup of the machine does not matter. */
  readonly attempts: number;
}

/**
 * Returns the highest throughput at a good rate, or 0 if even a sixteenth of the first rate is bad.
 */
export async function highestRate(search: Search, probe: (rate: number) => Promise<Probe>): Promise<number> {
  const { from, to, halvings, attempts } = search;
  let best = 0;
  let limited = false;
  const good = async (rate: number): Promise<boolean> => {
    for (let i = 0; i < attempts; i++) {
      const result = await probe(rate);
      if (!result.good) continue;
      best = Math.max(best, result.value);
      limited = !result.reached;
      return true;
    }
    return false;
  };
  let low = from;
  while (!(await good(low))) {
    low /= 2;
    if (low < from / 16) return 0;
  }
  // If the first rate was bad, the search halved it, so twice this rate is known to be bad.
  let high = low < from ? low * 2 : 0;
  while (high === 0 && !limited && low < to) {
    const next = Math.min(low * 2, to);
    if (await good(next)) low = next;
    else high = next;
  }
  for (let i = 0; i < halvings && high > 0 && !limited; i++) {
    const middle = Math.sqrt(low * high);
    if (await good(middle)) low = middle;
    else high = middle;
  }
  return best;
}
