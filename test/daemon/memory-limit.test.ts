/** The memory limit of a control group, and the shares of it that a device gets. */
import { expect, test } from 'vitest';
import { type MemoryLimit, memoryLimit } from '../../src/daemon/memory-limit.ts';
import { type MemoryShares, sharesOf, watchMemory } from '../../src/daemon/memory-shares.ts';
import { MemoryPair } from '../support/memory-pair.ts';

const GIB = 2 ** 30;
const MIB = 2 ** 20;
/** Reads a machine of 8 GiB with these files. */
const limitIn = (files: Record<string, string>) => memoryLimit(path => files[path], 8 * GIB);

test('version 2: the lowest of memory.max and memory.high, of the group and those above', () => {
  const files = {
    '/proc/self/cgroup': '0::/system.slice/wgts.service\n',
    '/sys/fs/cgroup/system.slice/wgts.service/memory.max': 'max\n',
    '/sys/fs/cgroup/system.slice/wgts.service/memory.high': `${3 * GIB}\n`,
    '/sys/fs/cgroup/system.slice/memory.max': `${2 * GIB}\n`,
    '/sys/fs/cgroup/system.slice/memory.current': `${GIB}\n`,
    '/sys/fs/cgroup/system.slice/memory.stat': `anon 1\nfile 5\ninactive_file ${256 * MIB}\nslab 7\n`,
  };
  const limit = limitIn(files)!;
  expect([limit.bytes, limit.group, limit.used()]).toEqual([2 * GIB, '/sys/fs/cgroup/system.slice', 768 * MIB]);
  expect(limitIn({ ...files, '/sys/fs/cgroup/system.slice/wgts.service/memory.high': `${GIB}\n` })?.bytes).toBe(GIB);
});

test('version 1, also mounted in a container whose path is the host’s', () => {
  const limit = limitIn({
    '/proc/self/cgroup': '5:cpu,cpuacct:/docker/0123\n4:memory:/docker/0123\n0::/\n',
    '/sys/fs/cgroup/memory/memory.limit_in_bytes': `${64 * MIB}\n`,
    '/sys/fs/cgroup/memory/memory.usage_in_bytes': `${60 * MIB}\n`,
    '/sys/fs/cgroup/memory/memory.stat': `inactive_file 1\ntotal_inactive_file ${10 * MIB}\n`,
  })!;
  expect([limit.bytes, limit.group, limit.used()]).toEqual([64 * MIB, '/sys/fs/cgroup/memory', 50 * MIB]);
});

test('no limit: none is set, none can be read, or it is beyond the machine', () => {
  expect(limitIn({})).toBeUndefined();
  expect(limitIn({ '/proc/self/cgroup': '0::/\n', '/sys/fs/cgroup/memory.max': 'max\n' })).toBeUndefined();
  expect(
    limitIn({
      '/proc/self/cgroup': '4:memory:/a\n',
      '/sys/fs/cgroup/memory/a/memory.limit_in_bytes': '9223372036854771712\n',
    }),
  ).toBeUndefined();
  expect(limitIn({ '/proc/self/cgroup': '0::/../../x\nnonsense\n' })).toBeUndefined();
});

test('shares are parts of the limit, between what is needed and what is useful', () => {
  expect(sharesOf(64 * GIB)).toEqual({ staged: 256 * MIB, socket: 7 * MIB });
  expect(sharesOf(256 * MIB)).toEqual({ staged: 32 * MIB, socket: 4 * MIB });
  expect(sharesOf(MIB)).toEqual({ staged: MIB, socket: 256 * 1024 });
  for (let limit = 32 * MIB; limit < 8 * GIB; limit *= 1.3) {
    const { staged, socket } = sharesOf(limit);
    // four sockets, two directions, and the kernel's own doubling
    expect(staged + 16 * socket).toBeLessThanOrEqual(limit / 2);
  }
});

function watched(limitBytes: number) {
  const given: MemoryShares[] = [];
  const logged: string[] = [];
  let look = () => {};
  let stopped = false;
  const state = { used: 0 as number | undefined };
  const limit: MemoryLimit = { bytes: limitBytes, group: '/group', used: () => state.used };
  const stop = watchMemory({
    device: { limitMemory: shares => void given.push(shares) },
    limit,
    log: { verbose: () => {}, error: text => void logged.push(text) },
    every: (_, action) => {
      look = action;
      return () => {
        stopped = true;
      };
    },
  });
  return { given, logged, state, look: () => look(), stop, isStopped: () => stopped };
}

test('near the limit the shares halve step by step, and grow again when it is far', () => {
  const { given, logged, state, look, stop, isStopped } = watched(256 * MIB);
  const staged = () => given.at(-1)!.staged / MIB;
  expect(staged()).toBe(32);
  state.used = 200 * MIB;
  look();
  expect(given).toHaveLength(1);
  state.used = 240 * MIB;
  for (let i = 0; i < 20; i++) look();
  expect([staged(), given.length]).toEqual([1, 7]);
  // one line for people, however long it lasts
  expect(logged).toEqual([
    'uses 240 MiB of 256 MiB memory: packets without a session may hold 16 MiB, each socket 2.0 MiB',
  ]);
  state.used = undefined;
  look();
  state.used = 220 * MIB;
  look();
  expect(given).toHaveLength(7);
  state.used = 100 * MIB;
  for (let i = 0; i < 20; i++) look();
  expect([staged(), given.length]).toEqual([32, 13]);
  stop();
  expect(isStopped()).toBe(true);
});

test('a device passes its shares to what waits and to its sockets, also to later ones', () => {
  const pair = new MemoryPair();
  pair.network.filter = () => false;
  const sizes: number[] = [];
  const open = pair.network.open.bind(pair.network);
  pair.network.open = (addresses, port) =>
    Object.assign(open(addresses, port), { setBuffers: (bytes: number) => void sizes.push(bytes) });
  pair.a.tun.change({ up: false, mtu: 1420, name: 'test' });
  pair.a.tun.change({ up: true, mtu: 1420, name: 'test' });
  pair.a.loop.limitMemory({ staged: 0, socket: 300_000 });
  pair.a.tun.change({ up: false, mtu: 1420, name: 'test' });
  pair.a.tun.change({ up: true, mtu: 1420, name: 'test' });
  expect(sizes).toEqual([300_000, 300_000]);
  pair.carry(pair.a, pair.b);
  expect(pair.a.counters['stagedOverBudget']).toBe(1);
  pair.close();
});
