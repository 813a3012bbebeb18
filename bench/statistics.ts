/** What is made of the numbers of several runs. */

/** The middle value, or the mean of the two in the middle; NaN of nothing. */
export function median(values: readonly number[]): number {
  return percentile(values, 50);
}

/** Interpolated between neighbours; NaN of nothing. */
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
  /** The median of the ratios of runs that stood side by side. */
  readonly paired: number;
  /** The ratio of the two medians. */
  readonly ofMedians: number;
  /** How many pairs there were. */
  readonly pairs: number;
}

/**
 * Ours to theirs. Values by number of run, undefined where a run failed.
 * @returns undefined without a single pair
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
