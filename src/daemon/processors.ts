/**
 * How many processors this process may keep busy: those that it may run on (sched_getaffinity(2)),
 * and what its control groups grant of their time.
 */
import { availableParallelism } from 'node:os';
import { controlGroups, type ReadText, readText } from './control-groups.ts';

/** The most threads of a device that chooses by itself. */
export const MOST_THREADS = 8;

/** The most threads that a person may ask for (native/lanes.h). */
export const MOST_THREADS_GIVEN = 64;

/** Returns the processors that this process may keep busy, with a fraction where a quota is set. */
export function processors(read: ReadText = readText, online = availableParallelism()): number {
  let least = online;
  for (const { version, folder } of controlGroups('cpu', read)) {
    const quota = version === 2 ? quotaOf(read, folder) : oldQuotaOf(read, folder);
    if (quota !== undefined) least = Math.min(least, quota);
  }
  return least;
}

/** Returns how many threads a device may use: a number that was asked for, or one per processor. */
export function threadsFor(setting: number | undefined, available: number): number {
  return setting ?? Math.max(1, Math.min(MOST_THREADS, Math.floor(available)));
}

/** cpu.max: "max 100000", or microseconds in each period. */
function quotaOf(read: ReadText, folder: string): number | undefined {
  const [, quota, period] = /^(\d+) (\d+)\s*$/.exec(read(`${folder}/cpu.max`) ?? '') ?? [];
  return ratio(quota, period);
}

/** Version 1 has two files; -1 means no quota. */
function oldQuotaOf(read: ReadText, folder: string): number | undefined {
  const [, quota] = /^(\d+)\s*$/.exec(read(`${folder}/cpu.cfs_quota_us`) ?? '') ?? [];
  return ratio(quota, read(`${folder}/cpu.cfs_period_us`)?.trim());
}

function ratio(quota: string | undefined, period: string | undefined): number | undefined {
  const value = Number(quota ?? Number.NaN) / Number(period ?? Number.NaN);
  return value > 0 && Number.isFinite(value) ? value : undefined;
}
