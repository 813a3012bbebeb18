/** The highest rate that still goes well: doubled until it does not, then halved in between. */

export interface Probe {
  /** Whether it went well. */
  readonly good: boolean;
  /** What arrived at this rate. */
  readonly value: number;
  /** Whether the sender was as fast as it should be. Where it was not, higher rates say nothing. */
  readonly reached: boolean;
}

export interface Search {
  /** Where to begin. */
  readonly from: number;
  /** Never beyond. */
  readonly to: number;
  /** How often the interval between good and bad is halved, as factors: after 4 it is 2^(1/16), 4 %. */
  readonly halvings: number;
  /** How often a rate is tried before it is called bad: one hiccup of the machine must not decide. */
  readonly attempts: number;
}

/** @returns the most that arrived at a good rate; 0 when there was none down to a sixteenth of where it began */
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
  // begun too high: what is just above is known to be bad
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
