/** How many processors a process may keep busy, and how many threads that makes. */
import { expect, test } from 'vitest';
import { MOST_THREADS, processors, threadsFor } from '../../src/daemon/processors.ts';

const reading = (files: Record<string, string>) => (path: string) => files[path];
const V2 = '/sys/fs/cgroup';
const V1 = '/sys/fs/cgroup/cpu';

test.for([
  ['no control groups', {}, 4],
  ['no quota', { '/proc/self/cgroup': '0::/a\n', [`${V2}/a/cpu.max`]: 'max 100000\n' }, 4],
  ['a quota', { '/proc/self/cgroup': '0::/a\n', [`${V2}/a/cpu.max`]: '150000 100000\n' }, 1.5],
  ['a quota of a group above', { '/proc/self/cgroup': '0::/a/b\n', [`${V2}/a/cpu.max`]: '50000 100000\n' }, 0.5],
  ['the root of a container', { '/proc/self/cgroup': '0::/kube/x\n', [`${V2}/cpu.max`]: '200000 100000\n' }, 2],
  ['more than there are', { '/proc/self/cgroup': '0::/\n', [`${V2}/cpu.max`]: '9900000 100000\n' }, 4],
  [
    'version 1',
    {
      '/proc/self/cgroup': '3:cpu,cpuacct:/a\n',
      [`${V1}/a/cpu.cfs_quota_us`]: '25000\n',
      [`${V1}/a/cpu.cfs_period_us`]: '100000\n',
    },
    0.25,
  ],
  [
    'version 1 without a quota',
    { '/proc/self/cgroup': '3:cpu:/a\n', [`${V1}/a/cpu.cfs_quota_us`]: '-1\n', [`${V1}/a/cpu.cfs_period_us`]: '1' },
    4,
  ],
  ['nonsense', { '/proc/self/cgroup': '0::/a\n', [`${V2}/a/cpu.max`]: '0 0\n' }, 4],
] as const)('%s', ([, files, expected]) => {
  expect(processors(reading(files), 4)).toBe(expected);
});

test('one thread per whole processor, at least one, and as many as were asked for', () => {
  expect([0.5, 1, 1.9, 2, 3.5, 100].map(available => threadsFor(undefined, available))).toEqual([
    1,
    1,
    1,
    2,
    3,
    MOST_THREADS,
  ]);
  expect(threadsFor(12, 1)).toBe(12);
});
