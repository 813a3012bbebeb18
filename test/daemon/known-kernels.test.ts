/**
 * Kernels that damage packets with an offload are recognized by their version, and the offload is
 * not used.
 */
import { describe, expect, test } from 'vitest';
import { KERNEL_FAULTS, knownFaults, runningKernel, upstreamVersion } from '../../src/daemon/known-kernels.ts';
import { offloadsWithout } from '../../src/daemon/offloads.ts';
import { ALL_TUN_OFFLOADS, TUN_OFFLOADS, TUN_SINGLE_UDP } from '../../src/io/tun.ts';
import { ALL_UDP_OFFLOADS, UDP_OFFLOADS } from '../../src/io/udp.ts';

const avoided = (release: string, more: { version?: string; signature?: string } = {}) =>
  knownFaults({ release, ...more }).map(({ avoid }) => avoid);

describe('by uname -r', () => {
  test.each([
    // UDP_SEGMENT, 7.0.0 to 7.1.4
    ['6.19.14', []],
    ['6.18.44-fc-v595', []],
    ['7.0.0-rc3', ['gso']],
    ['7.0.0', ['gso']],
    ['7.0-rc1', ['gso']],
    ['7.0.0-14-generic', ['gso']],
    ['7.0.2-6-pve', ['gso']],
    ['7.0.14-arch1-1', ['gso']],
    ['7.1.0-rc5-00012-gabcdef', ['gso']],
    ['7.1.4-arch1-1', ['gso']],
    ['7.1.4', ['gso']],
    ['7.1.5-1-cachyos', []],
    ['7.1.5-201.fc44.x86_64', []],
    ['7.1.10', []],
    ['7.2.0', []],
    ['8.0.0', []],
    // merged UDP to tunnel sockets, from 6.2 to the spring of 2024
    ['6.1.0-23-amd64', []],
    ['6.1.84', []],
    ['5.15.0-105-generic', []],
    ['6.2.0-39-generic', ['usoWrite']],
    ['6.2', ['usoWrite']],
    ['6.5.0-1015-aws', ['usoWrite']],
    ['6.6.25', ['usoWrite']],
    ['6.6.26-1-lts', []],
    ['6.6.100+', []],
    ['6.7.12-arch1-1', ['usoWrite']],
    ['6.8.0-51-generic', ['usoWrite']],
    ['6.8.4-200.fc39.x86_64', ['usoWrite']],
    ['6.8.5', []],
    ['6.9.0', []],
    ['6.12.48+deb13-amd64', []],
  ] as const)('%s: %j', (release, offloads) => expect(avoided(release)).toEqual(offloads));

  test.each(['', 'unknown', 'x7.0.0', '-7.0.0', '7', '6.'])('%j is not a version, and has no known faults', release => {
    expect(upstreamVersion({ release })).toBeUndefined();
    expect(avoided(release)).toEqual([]);
  });
});

describe("by a distribution's own statement of the version", () => {
  test('Ubuntu names the version that its kernel was built from', () => {
    const signature = 'Ubuntu 6.8.0-51.52-generic 6.8.12';
    expect(upstreamVersion({ release: '6.8.0-51-generic', signature })).toEqual([6, 8, 12]);
    expect(avoided('6.8.0-51-generic', { signature })).toEqual([]);
    expect(avoided('6.8.0-11-generic', { signature: 'Ubuntu 6.8.0-11.11-generic 6.8.0-rc4' })).toEqual(['usoWrite']);
    expect(avoided('7.0.0-14-generic', { signature: 'Ubuntu 7.0.0-14.14-generic 7.0.0' })).toEqual(['gso']);
  });

  test('Debian names it in uname -v', () => {
    const version = '#1 SMP PREEMPT_DYNAMIC Debian 6.1.99-1 (2024-07-15)';
    expect(upstreamVersion({ release: '6.1.0-23-amd64', version })).toEqual([6, 1, 99]);
    expect(avoided('6.6.0-1-amd64', { version: '#1 SMP PREEMPT_DYNAMIC Debian 6.6.30-1 (2024-05-05)' })).toEqual([]);
    expect(avoided('6.7.9-amd64', { version: '#1 SMP PREEMPT_DYNAMIC Debian 6.7.9-2 (2024-03-13)' })).toEqual([
      'usoWrite',
    ]);
  });

  test('a version that does not match the running kernel, as from a file in a container, is ignored', () => {
    expect(upstreamVersion({ release: '7.0.3', signature: 'Ubuntu 6.8.0-51.52-generic 6.8.12' })).toEqual([7, 0, 3]);
    expect(upstreamVersion({ release: '7.0.3', version: '#1 SMP Debian', signature: 'nonsense' })).toEqual([7, 0, 3]);
  });
});

test('the ranges in the table are not empty and do not overlap', () => {
  const number = ([major, minor, patch]: readonly [number, number, number]) => (major * 1e5 + minor) * 1e5 + patch;
  for (const { ranges } of KERNEL_FAULTS) {
    const edges = ranges.flat().map(number);
    expect(edges).toEqual([...new Set(edges)].sort((a, b) => a - b));
  }
});

test('this kernel has a version', () => {
  expect(upstreamVersion(runningKernel())).toBeDefined();
});

test('only the avoided offloads are left out', () => {
  const none = new Set<never>();
  expect(offloadsWithout(none, ['gso'])).toEqual({ tun: ALL_TUN_OFFLOADS, udp: ALL_UDP_OFFLOADS & ~UDP_OFFLOADS.gso });
  // super-packets of UDP are still read
  expect(offloadsWithout(none, ['usoWrite'])).toEqual({
    tun: ALL_TUN_OFFLOADS | TUN_SINGLE_UDP,
    udp: ALL_UDP_OFFLOADS,
  });
  expect(offloadsWithout(new Set(['uso', 'gso']), ['usoWrite', 'gso'])).toEqual({
    tun: (ALL_TUN_OFFLOADS & ~TUN_OFFLOADS.uso) | TUN_SINGLE_UDP,
    udp: ALL_UDP_OFFLOADS & ~UDP_OFFLOADS.gso,
  });
  expect(offloadsWithout(none)).toEqual({ tun: ALL_TUN_OFFLOADS, udp: ALL_UDP_OFFLOADS });
  const { tso4, tso6, udptnl } = TUN_OFFLOADS;
  expect(offloadsWithout(new Set(['udptnl'])).tun).toBe(ALL_TUN_OFFLOADS & ~udptnl);
  // what is merged in tunnels is TCP
  expect(offloadsWithout(new Set(['tso'])).tun).toBe(ALL_TUN_OFFLOADS & ~(tso4 | tso6 | udptnl));
});
