/**
 * Decides how long the thread of a device may wait awake for a packet (native/spin.c). It does so
 * only between lone packets, and gives its core to any thread that wants it.
 */
import { availableParallelism } from 'node:os';
import { folders, type ReadText, readText } from './memory-limit.ts';

/**
 * As long as the answer of a near host takes. A thread that is woken from sleep loses 5 to 50 us.
 */
const MICROSECONDS = 50;
/** With fewer cores, a thread that waits awake is in the way of those that it waits for. */
const LEAST_CORES = 2;

/**
 * Returns the microseconds, or 0 if this process has too few cores: by the machine, its affinity,
 * or the CPU quota of its control group (cgroups(7)) or any group above, which waiting awake would
 * use up.
 */
export function awakeLimit(read: ReadText = readText, cores = availableParallelism()): number {
  if (cores < LEAST_CORES) return 0;
  for (const line of (read('/proc/self/cgroup') ?? '').split('\n')) {
    const [, controllers, path] = /^\d+:([^:]*):(\/.*)$/.exec(line) ?? [];
    if (path === undefined) continue;
    if (controllers === '')
      for (const folder of folders('/sys/fs/cgroup', path))
        if (isBelow(...(read(`${folder}/cpu.max`) ?? '').split(' '))) return 0;
    if (controllers?.split(',').includes('cpu'))
      for (const folder of folders('/sys/fs/cgroup/cpu', path))
        if (isBelow(read(`${folder}/cpu.cfs_quota_us`), read(`${folder}/cpu.cfs_period_us`))) return 0;
  }
  return MICROSECONDS;
}

/** Without a quota the first is "max" or -1, or absent. */
function isBelow(quota = '', period = ''): boolean {
  const [time, of] = [Number.parseInt(quota, 10), Number.parseInt(period, 10)];
  return time > 0 && of > 0 && time < LEAST_CORES * of;
}
