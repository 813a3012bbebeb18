/** Computes statistics over several runs. */

/** Returns the median, or NaN for an empty list. */
export function median(values: readonly number[]): number {
  return percentile(values, 50);
}

/** Returns a percentile, interpolated between neighbours, or NaN if the list is empty. */
export function percentile(values: readonly number[], percent: number): number {
  if (values.length === 0) return Number.NaN;
  const sorted = values.toSorted((a, b) => a - b);
  const at = ((sorted.length - 1) * percent) / 100;
  const below = Math.floor(at);
  const low = sorted[below]!;
  const high = sorted[Math.min(below + 1, sorted.length - 1)]!;
  return low + (high - low) * (at - below);
}

export interface Ratio {
  /** The median of the ratios, one ratio per pair of runs. */
  readonly paired: number;
  /** The ratio of the two medians. */
  readonly ofMedians: number;
  /** The number of pairs. */
  readonly pairs: number;
}

/**
 * Returns the ratio of ours to theirs. Both lists are indexed by run, with undefined where a run
 * failed.
 * @returns undefined if no run succeeded in both lists
 */
export function ratio(
  ours: readonly (number | undefined)[],
  theirs: readonly (number | undefined)[],
): Ratio | undefined {
  const pairs: number[] = [];
  for (const [run, own] of ours.entries()) {
    const other = theirs[run];
    if (own !== undefined && other !== undefined && other > 0) pairs.push(own / other);
  }
  if (pairs.length === 0) return undefined;
  const ofMedians = median(ours.filter(isNumber)) / median(theirs.filter(isNumber));
  return { paired: median(pairs), ofMedians, pairs: pairs.length };
}

export function isNumber(value: number | undefined): value is number {
  return value !== undefined;
}
