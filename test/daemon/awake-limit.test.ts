/** Which processes may wait awake for packets. */
import { expect, test } from 'vitest';
import { awakeLimit } from '../../src/daemon/awake-limit.ts';
import { processors } from '../../src/daemon/processors.ts';

const limitIn = (files: Record<string, string>, cores = 8) => awakeLimit(processors(path => files[path], cores));
const GROUP = { '/proc/self/cgroup': '0::/a/b\n' };

test('by the cores that it may use', () => {
  expect(limitIn({}, 1)).toBe(0);
  expect(limitIn({}, 3)).toBe(0);
  expect(limitIn({}, 4)).toBeGreaterThan(0);
});

test.each([
  ['/sys/fs/cgroup/a/b/cpu.max', '350000 100000\n', false],
  ['/sys/fs/cgroup/a/cpu.max', '350000 100000\n', false],
  ['/sys/fs/cgroup/cpu.max', '10000 100000\n', false],
  ['/sys/fs/cgroup/a/b/cpu.max', '400000 100000\n', true],
  ['/sys/fs/cgroup/a/b/cpu.max', 'max 100000\n', true],
  ['/sys/fs/cgroup/a/b/cpu.max', '', true],
  ['/sys/fs/cgroup/c/cpu.max', '1000 100000\n', true],
])('by the quota of its control group: %s is %o', (file, text, may) => {
  expect(limitIn({ ...GROUP, [file]: text }) > 0).toBe(may);
});

test.each([
  ['350000\n', false],
  ['-1\n', true],
  ['400000\n', true],
])('by the quota of version 1: %o', (quota, may) => {
  const folder = '/sys/fs/cgroup/cpu/a';
  const files = { '/proc/self/cgroup': '3:cpu,cpuacct:/a\n2:memory:/a\n' };
  const limits = { [`${folder}/cpu.cfs_quota_us`]: quota, [`${folder}/cpu.cfs_period_us`]: '100000\n' };
  expect(limitIn({ ...files, ...limits }) > 0).toBe(may);
});
