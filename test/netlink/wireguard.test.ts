/**
 * WireGuard over netlink with the fake kernel: Linux 6.16 and older, in small and in large
 * messages.
 */
import { describe, expect, test } from 'vitest';
import { formatKeyHex } from '../../src/base/key.ts';
import { formatPrefix, type Prefix, parsePrefix } from '../../src/base/prefix.ts';
import type { DeviceConfig } from '../../src/config/model.ts';
import { formatDump } from '../../src/config/show.ts';
import { Network } from '../../src/netlink/network.ts';
import { KernelWireguard } from '../../src/netlink/wireguard.ts';
import { encodeDevice } from '../../src/netlink/wireguard-chunks.ts';
import { SINK_KEY, withoutRemovals } from '../../src/netlink/wireguard-removals.ts';
import { CHECKS, type CheckStage, expectedPeers, key, manyPeers } from '../kernel-vm/wireguard-checks.ts';
import { FakeKernel, type FakeKernelOptions } from '../support/fake-kernel/kernel.ts';

async function start(options: FakeKernelOptions = {}): Promise<CheckStage & { readonly kernel: FakeKernel }> {
  const kernel = new FakeKernel(options);
  await new Network(kernel).links.create({ name: 'wg0', kind: 'wireguard', up: true });
  return { kernel, name: 'wg0', wireguard: (await KernelWireguard.open(kernel))! };
}

describe.each<FakeKernelOptions>([
  { removesAllowedIps: true, messageSize: 4096 },
  { removesAllowedIps: false, messageSize: 512 },
  { removesAllowedIps: false, messageSize: 32768 },
])('%o', options => {
  test.each(CHECKS)('$name', async check => {
    await check.run(await start(options));
  });

  test('1,000 peers with 10 allowed IPs each', async () => {
    const { wireguard, name } = await start(options);
    const peers = manyPeers(1000, 10);
    await wireguard.set(name, { replacePeers: true, peers });
    const { peers: there, ...own } = await wireguard.get(name);
    expect(formatDump({ ...own, peers: there })).toBe(formatDump({ ...own, peers: expectedPeers(peers) }));
  });
});

test('a kernel without WireGuard has no family', async () => {
  expect(await KernelWireguard.open(new FakeKernel({ kinds: ['dummy'] }))).toBeUndefined();
});

test('support for removing single allowed IPs is tried once, with a prefix that no peer owns', async () => {
  for (const removesAllowedIps of [true, false]) {
    const { kernel, wireguard, name } = await start({ removesAllowedIps });
    const prefixes = ['0.0.0.0/32', '0.0.0.1/32', '10.0.0.0/8'].map(text => ({ prefix: parsePrefix(text)! }));
    await wireguard.set(name, { peers: [{ publicKey: key(1), allowedIps: prefixes }] });
    const take = (text: string) => ({
      peers: [{ publicKey: key(1), allowedIps: [{ prefix: parsePrefix(text)!, remove: true }] }],
    });
    await wireguard.set(name, take('0.0.0.1/32'));
    const before = kernel.requests.length;
    await wireguard.set(name, take('10.0.0.0/8'));
    const set = 'WG_CMD_SET_DEVICE';
    expect(kernel.requests.slice(before)).toEqual(removesAllowedIps ? [set] : ['WG_CMD_GET_DEVICE', set]);
    const known = await wireguard.get(name);
    expect(known.peers[0]!.allowedIps.map(formatPrefix)).toEqual(['0.0.0.0/32']);
    await wireguard.set(name, take('0.0.0.0/32'), known);
    expect(kernel.requests.slice(-2)).toEqual(['WG_CMD_GET_DEVICE', set]);
    expect((await wireguard.get(name)).peers.map(({ allowedIps }) => allowedIps)).toEqual([[]]);
  }
});

test('an old kernel never leaves a peer without a prefix it keeps, and no sink peer remains', async () => {
  const { kernel, wireguard, name } = await start({ removesAllowedIps: false });
  const [kept, lost] = ['10.1.0.0/16', '10.2.0.0/16'].map(text => parsePrefix(text)!) as [never, never];
  await wireguard.set(name, { peers: [{ publicKey: key(1), allowedIps: [{ prefix: kept }, { prefix: lost }] }] });
  kernel.before = () =>
    expect(
      kernel
        .device(name)!
        .peers.get(formatKeyHex(key(1)))!
        .allowedIps.has('10.1.0.0/16'),
    ).toBe(true);
  await wireguard.set(name, { peers: [{ publicKey: key(1), allowedIps: [{ prefix: lost, remove: true }] }] });
  expect(kernel.device(name)!.peers.size).toBe(1);
});

test('two concurrent configs do not mix, and the second is applied even if the first fails', async () => {
  const { kernel, wireguard, name } = await start();
  const [first, second] = [manyPeers(900, 10), manyPeers(1000, 9)];
  kernel.failNext('WG_CMD_SET_DEVICE', 'ENOMEM');
  const results = await Promise.allSettled(
    [first, first, second].map(peers => wireguard.set(name, { replacePeers: true, peers })),
  );
  expect(results.map(({ status }) => status)).toEqual(['rejected', 'fulfilled', 'fulfilled']);
  const { peers, ...own } = await wireguard.get(name);
  expect(formatDump({ ...own, peers })).toBe(formatDump({ ...own, peers: expectedPeers(second) }));
});

test('on an old kernel, one sink peer serves all removals', () => {
  const [a, b, c] = ['10.1.0.0/16', '10.2.0.0/16', '10.3.0.0/16'].map(text => parsePrefix(text)!) as [
    Prefix,
    Prefix,
    Prefix,
  ];
  const nothing = {
    lastHandshakeSeconds: 0,
    lastHandshakeNanoseconds: 0,
    rxBytes: 0,
    txBytes: 0,
    persistentKeepalive: 0,
  };
  const there = [
    { ...nothing, publicKey: key(1), allowedIps: [a, b] },
    { ...nothing, publicKey: key(2), allowedIps: [c] },
  ];
  const away = (prefix: Prefix) => ({ prefix, remove: true });
  const config: DeviceConfig = {
    peers: [
      { publicKey: key(1), allowedIps: [away(a), away(c), away(b)] },
      { publicKey: key(2), allowedIps: [away(c), { prefix: a }] },
    ],
  };
  expect(withoutRemovals(config, { listenPort: 0, fwmark: 0, peers: there }).peers).toEqual([
    { publicKey: key(1), allowedIps: [] },
    { publicKey: SINK_KEY, allowedIps: [{ prefix: a }, { prefix: b }] },
    { publicKey: key(2), allowedIps: [] },
    { publicKey: SINK_KEY, allowedIps: [{ prefix: c }] },
    { publicKey: key(2), updateOnly: true, allowedIps: [{ prefix: a }] },
    { publicKey: SINK_KEY, remove: true },
  ]);
});

describe('a config split into messages', () => {
  const config: DeviceConfig = { listenPort: 1, replacePeers: true, peers: manyPeers(40, 30) };

  test.each([512, 1000, 4096, 32768])('of %d bytes at most', limit => {
    for (const chunk of encodeDevice('wg0', config, limit)) expect(chunk.length).toBeLessThanOrEqual(limit);
  });

  test('an empty config is one message, which fails if the device does not exist', () => {
    expect(encodeDevice('wg0', {}).length).toBe(1);
  });

  test('a refused message keeps the changes of earlier ones, and the error names it', async () => {
    const { kernel, wireguard, name } = await start();
    let sets = 0;
    kernel.before = request => {
      if (request === 'WG_CMD_SET_DEVICE' && ++sets === 2) kernel.failNext('WG_CMD_SET_DEVICE', 'ENOMEM');
    };
    await expect(wireguard.set(name, { peers: manyPeers(1000, 10) })).rejects.toThrow(
      /^configuring WireGuard device wg0, part 2 of [0-9]+: ENOMEM \(Cannot allocate memory\)$/,
    );
    expect(kernel.device(name)!.peers.size).toBeGreaterThan(10);
    expect(kernel.device(name)!.peers.size).toBeLessThan(1000);
  });
});
