/** Times one function with benchmark.js. */
import Benchmark from 'benchmark';
import { median } from '../statistics.ts';

export interface Effort {
  /** Seconds to run before timing starts, so that V8 compiles the function first. */
  readonly warmUp: number;
  /** Approximate seconds of timing. */
  readonly maxTime: number;
  /** Minimum seconds of one sample. */
  readonly minTime: number;
}

export const THOROUGH: Effort = { warmUp: 0.05, maxTime: 0.35, minTime: 0.01 };
export const QUICK: Effort = { warmUp: 0.02, maxTime: 0.04, minTime: 0.002 };

export interface Timing {
  /**
   * Seconds per call: the median of all samples, because other load on the machine distorts a mean.
   */
  readonly seconds: number;
  /** Half of the 95 % confidence interval of the mean, as a share of the mean. */
  readonly margin: number;
  readonly samples: number;
}

/** @throws any error that the function throws */
export function time(name: string, fn: () => void, { warmUp, maxTime, minTime }: Effort): Timing {
  for (const end = performance.now() + warmUp * 1000; performance.now() < end; ) fn();
  const bench = new Benchmark(name, fn, { maxTime, minTime, minSamples: 5 });
  bench.run({ async: false });
  if (bench.error) throw bench.error;
  const { rme, sample } = bench.stats;
  return { seconds: median(sample as number[]), margin: rme / 100, samples: sample.length };
}
