/** Searches the highest rate that still works: doubles it until it fails, then bisects. */

export interface Probe {
  /** Whether the rate worked. */
  readonly good: boolean;
  /** The throughput that arrived at this rate. */
  readonly value: number;
  /** Whether the sender reached the requested rate. If not, higher rates are meaningless. */
  readonly reached: boolean;
}

export interface Search {
  /** The first rate. */
  readonly from: number;
  /** The highest rate. */
  readonly to: number;
  /**
   * How often the interval between good and bad is bisected, in ratio: after 4 it is 2^(1/16), 4 %.
   */
  readonly halvings: number;
  /** Attempts before a rate counts as bad, so that one hiccup of the machine does not decide. */
  readonly attempts: number;
}

/**
 * @returns the highest throughput at a good rate, or 0 if no rate is good down to a sixteenth of
 * the first rate
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
  // If the search began too high, the rate just above is known to be bad.
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
