/** What `wgts doctor` reports of machines that lack something. */
import { expect, test } from 'vitest';
import { advice, type Findings, findings, report } from '../../src/cli/commands/doctor.ts';

const HEALTHY: Findings = {
  leftovers: { orphans: [], lost: [] },
  node: '22.1.0',
  openssl: '3.0.1',
  kernel: '6.12.0',
  kernelModule: false,
  tunDevice: true,
  addonProblem: '',
  aead: [
    { name: 'ipsec-mb', problem: undefined, nanoseconds: 400 },
    { name: 'openssl', problem: undefined, nanoseconds: 800 },
  ],
  tunOffloads: { value: ['csum', 'tso4', 'tso6', 'uso', 'udptnl'] },
  udpOffloads: { value: ['gso', 'gro', 'steer'] },
  largestBuffer: 4 << 20,
  root: true,
  processors: 2,
  filtersCalls: true,
  running: [{ name: 'wg0', pid: 77, rights: confined() }],
  backend: { kind: 'userspace', reason: 'the kernel has no WireGuard (EOPNOTSUPP)' },
};

function confined(): Findings['running'][number]['rights'] {
  return {
    capabilities: ['CAP_NET_ADMIN'],
    bounding: ['CAP_NET_ADMIN'],
    noNewPrivileges: true,
    seccomp: 'filter',
    coreLimit: '0',
    dumpable: undefined,
    threads: 7,
  };
}

test('reports what is in use on a healthy machine and advises nothing', () => {
  const text = report(HEALTHY);
  expect(text).toMatch(/AEAD ipsec-mb +400 ns a packet, 28\.5 Gbit\/s on one core; in use\n/);
  expect(text).toMatch(/AEAD openssl +800 ns[^;]*\n/);
  expect(text).toMatch(/TUN offloads +csum, tso4, tso6, uso, udptnl\n/);
  expect(text).toMatch(/kernel +6\.12\.0, lacks its own WireGuard\n/);
  expect(text).toMatch(/backend +auto takes userspace: the kernel has no WireGuard \(EOPNOTSUPP\)\n/);
  expect(text).toMatch(/system calls +can be filtered \(seccomp\)\n/);
  expect(text.replace(/\s+/g, ' ')).toContain(
    'wg0 process 77: CAP_NET_ADMIN, no_new_privs, system calls filtered, no core dumps',
  );
  expect(text).toMatch(/Nothing to do/);
});

test('says how many threads there may be, and how many work for a device', () => {
  const text = (found: Partial<Findings>) => report({ ...HEALTHY, ...found }).replace(/\s+/g, ' ');
  expect(text({})).toContain('threads up to 2 under load, with 2 processors ');
  expect(text({ processors: 1 })).toContain('threads one, with 1 processor ');
  expect(text({ processors: 1.5 })).toContain('threads one, with 1.5 processors ');
  const [wg0] = HEALTHY.running;
  expect(text({ running: [{ ...wg0!, threads: { most: 4, now: 1 } }] })).toContain(
    'process 77: 1 of at most 4 threads at work; CAP_NET_ADMIN',
  );
});

test.each<[string, Partial<Findings>, RegExp]>([
  ['no TUN', { tunDevice: false }, /modprobe tun/],
  ['no addon', { addonProblem: 'the native addon is not built', aead: [] }, /addon is not built/],
  [
    'a kernel with WireGuard',
    { backend: { kind: 'kernel', reason: 'the kernel has WireGuard itself' } },
    /--backend=auto uses it/,
  ],
  ['a module that will not load', { kernelModule: true }, /cannot be used \(.*EOPNOTSUPP\)\): modprobe wireguard/],
  [
    'no AEAD that works',
    { aead: [{ name: 'openssl', problem: 'gives wrong answers', nanoseconds: undefined }] },
    /no AEAD provider/,
  ],
  ['no USO', { tunOffloads: { value: ['csum', 'tso4', 'tso6'] } }, /Linux 6\.2/],
  ['no UDP tunnels', { tunOffloads: { value: ['csum', 'tso4', 'tso6', 'uso'] } }, /VXLAN.*Linux 6\.17/],
  ['no UDP_SEGMENT', { udpOffloads: { value: ['gro'] } }, /Linux 4\.18/],
  ['no UDP_GRO', { udpOffloads: { value: ['gso'] } }, /Linux 5\.0/],
  ['no steering', { udpOffloads: { value: ['gso', 'gro'] } }, /give handshakes a socket of their own/],
  [
    'a device that kept its rights',
    { running: [{ name: 'wg0', pid: 77, rights: { ...confined(), seccomp: 'none', noNewPrivileges: false } }] },
    /restart wg0 without --no-sandbox: process 77/,
  ],
  ['small buffers and no root', { largestBuffer: 212_992, root: false }, /rmem_max/],
])('advises what to do about: %s', (_name, part, hint) => {
  expect(advice({ ...HEALTHY, ...part }).join('\n')).toMatch(hint);
});

test.each([
  [
    '7.1.4-arch1-1',
    'not used: gso',
    /7\.1\.5 has the fix/,
    /update the kernel: Linux 7\.0 to 7\.1\.4.*WGTS_NO_OFFLOAD=none/,
  ],
  ['6.5.0-35-generic', 'not used: uso, written', /6\.8\.5 have the fix/, /update the kernel: Linux 6\.2 to 6\.6\.25/],
])('kernel %s: reports which offload is not used, and why', (kernel, label, remedy, hint) => {
  const found = { ...HEALTHY, kernel };
  const line = report(found)
    .replace(/\n {5,}/g, ' ')
    .split('\n')
    .find(each => each.startsWith(label))!;
  expect(line).toMatch(remedy);
  expect(advice(found).join('\n')).toMatch(hint);
});

test('ignores a kernel bug that the distribution says it has fixed', () => {
  expect(
    advice({ ...HEALTHY, kernel: '6.8.0-51-generic', kernelSignature: 'Ubuntu 6.8.0-51.52-generic 6.8.12' }),
  ).toEqual([]);
});

test('ignores a bug in an offload that this kernel does not offer', () => {
  const found = { ...HEALTHY, kernel: '6.5.0', tunOffloads: { value: ['csum', 'tso4', 'tso6'] } };
  expect(advice(found).join('\n')).not.toMatch(/update the kernel/);
});

test('names the package when libIPSec_MB is missing', () => {
  const aead = [
    { name: 'ipsec-mb', problem: 'libIPSec_MB is not installed', nanoseconds: undefined },
    HEALTHY.aead[1]!,
  ];
  expect(advice({ ...HEALTHY, aead }).join('\n')).toMatch(/apt-get install libipsec-mb1/);
  const kernel = { kind: 'kernel', reason: 'the kernel has WireGuard itself' } as const;
  expect(advice({ ...HEALTHY, aead, backend: kernel }).join('\n')).not.toMatch(/libipsec/i);
  expect(report({ ...HEALTHY, aead })).toMatch(/AEAD ipsec-mb +not used: libIPSec_MB is not installed/);
});

test('neither shows nor advises libIPSec_MB on machines other than x86-64', () => {
  const aead = [{ name: 'ipsec-mb', problem: 'libIPSec_MB is for x86-64', nanoseconds: undefined }, HEALTHY.aead[1]!];
  expect(report({ ...HEALTHY, aead })).not.toMatch(/ipsec/i);
  expect(advice({ ...HEALTHY, aead })).toEqual([]);
});

test('fits into 80 columns', () => {
  const poor: Findings = {
    ...HEALTHY,
    kernel: '6.5.0-35-generic',
    kernelModule: true,
    tunDevice: false,
    aead: [{ name: 'ipsec-mb', problem: 'libIPSec_MB.so.1 is not installed', nanoseconds: undefined }],
    udpOffloads: { value: [] },
    largestBuffer: 212_992,
  };
  for (const found of [poor, { ...poor, root: false }])
    for (const line of report(found).split('\n')) expect(line.length, line).toBeLessThanOrEqual(80);
});

test('describes the machine that it runs on', async () => {
  const found = await findings();
  expect(found.node).toBe(process.versions.node);
  expect(report(found).split('\n').length).toBeGreaterThan(8);
});
