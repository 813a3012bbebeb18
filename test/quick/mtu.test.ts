/** The MTU that `up` chooses: the smallest of the paths to the peers, whatever defines it. */
import { expect, test } from 'vitest';
import { parseAddress } from '../../src/base/address.ts';
import { parseEndpoint } from '../../src/base/endpoint.ts';
import { parsePrefix } from '../../src/base/prefix.ts';
import { Network } from '../../src/netlink/network.ts';
import { TABLE } from '../../src/netlink/route.ts';
import { findMtu } from '../../src/quick/mtu.ts';
import { reload, up } from '../../src/quick/quick.ts';
import { FakeMachine, target } from './fake-machine.ts';

const KEYS = ['GtL7fZc/bLnqZldpVofMCD6hDjrK28SsdLxevJ+qtKU=', 'xTIBA5rboUvnH4htodjb6e697QjLERt1NAB4mZqp8Dg='];
const file = (settings: string, ...peers: readonly string[]) =>
  `[Interface]\nPrivateKey = oK56DE9Ue9zK76rAc8pBl6opph+1v36lm7cXXsQKrQM=\n${settings}\n${peers
    .map((lines, i) => `[Peer]\nPublicKey = ${KEYS[i]}\n${lines}\n`)
    .join('')}`;

/**
 * eth0 (1500) has the default route; narrow (1400) leads to 198.51.100.0/24 and 2001:db8:2::/48,
 * jumbo (9000) to 203.0.113.0/24.
 */
async function start(): Promise<{ machine: FakeMachine; network: Network }> {
  const machine = await FakeMachine.start();
  const network = new Network(machine.kernel);
  for (const [name, mtu, ...prefixes] of [
    ['narrow', 1400, '198.51.100.0/24', '2001:db8:2::/48'],
    ['jumbo', 9000, '203.0.113.0/24'],
  ] as const) {
    const { index } = await network.links.create({ name, kind: 'dummy', up: true, mtu });
    for (const prefix of prefixes) await network.routes.add({ destination: parsePrefix(prefix)!, link: index });
  }
  return { machine, network };
}

async function found(network: Network, endpoints: readonly string[], more = false): Promise<number> {
  return findMtu(network, {
    endpoints: endpoints.map(text => parseEndpoint(text)!),
    mark: 51820,
    link: undefined,
    more,
  });
}

test.each([
  ['the smallest of several paths', ['192.0.2.9:1', '198.51.100.1:1'], 1320],
  ['in whatever order', ['198.51.100.1:1', '192.0.2.9:1'], 1320],
  ['one path', ['203.0.113.1:1'], 8920],
  ['IPv6 beside IPv4', ['203.0.113.1:1', '[2001:db8:2::1]:1'], 1320],
  ['ignores an endpoint without a path', ['[2001:db8:9::1]:1', '203.0.113.1:1'], 8920],
  ['no endpoint with a path: the default route', ['[2001:db8:9::1]:1'], 1420],
  ['no endpoints: the default route', [], 1420],
])('%s', async (_, endpoints, mtu) => {
  const { network } = await start();
  expect(await found(network, endpoints)).toBe(mtu);
  network.close();
});

test("a route's own MTU counts, up to its link's", async () => {
  const { network } = await start();
  const narrow = (await network.links.find('narrow'))!.index;
  await network.routes.add({ destination: parsePrefix('198.51.100.7/32')!, link: narrow, mtu: 1300 });
  await network.routes.add({ destination: parsePrefix('198.51.100.8/32')!, link: narrow, mtu: 9000 });
  expect(await found(network, ['198.51.100.7:1', '192.0.2.9:1'])).toBe(1220);
  expect(await found(network, ['198.51.100.8:1'])).toBe(1320);
  network.close();
});

test('a peer whose name is unresolved may be behind the default route', async () => {
  const { machine, network } = await start();
  expect(await found(network, ['203.0.113.1:1'], true)).toBe(1420);
  const { host, close } = machine.process();
  await up(host, target(file('', 'Endpoint = 203.0.113.1:1\nAllowedIPs = 10.1.0.0/16', 'Endpoint = later.example:1')));
  expect((await network.links.find('wg0'))?.mtu).toBe(1420);
  close();
  network.close();
});

test('uses the default route of IPv6 if IPv4 has none, and a default without either', async () => {
  const { network } = await start();
  const [ipv4] = (await network.routes.list({ family: 4, table: TABLE.main })).filter(
    ({ destination }) => destination.length === 0,
  );
  await network.routes.remove({ destination: ipv4!.destination });
  expect(await found(network, [])).toBe(1420);
  const narrow = (await network.links.find('narrow'))!.index;
  await network.routes.add({ destination: parsePrefix('::/0')!, type: 7, metric: 1 });
  expect(await found(network, [])).toBe(1420);
  await network.routes.add({ destination: parsePrefix('::/0')!, link: narrow, metric: 2 });
  expect(await found(network, [])).toBe(1320);
  network.close();
});

test('ignores a path through the tunnel itself, so reloads do not shrink the MTU', async () => {
  const { machine, network } = await start();
  const wanted = target(file('Address = 10.9.0.2/24', 'Endpoint = 192.0.2.77:1\nAllowedIPs = 192.0.2.64/26'));
  const { host, close } = machine.process();
  await up(host, wanted);
  for (let i = 0; i < 3; i++) await reload(host, wanted);
  expect((await network.links.find('wg0'))?.mtu).toBe(1420);
  close();
  network.close();
});

test('takes the MTU of the file, and rejects one below what IPv6 needs', async () => {
  const { machine, network } = await start();
  const { host, close, warned } = machine.process();
  await up(host, target(file('MTU = 1000', 'Endpoint = 198.51.100.1:1\nAllowedIPs = 10.1.0.0/16')));
  expect((await network.links.find('wg0'))?.mtu).toBe(1000);
  const tooSmall = up(host, target(file('MTU = 1279\nAddress = fd00::1/64'), 'wg1'));
  await expect(tooSmall).rejects.toMatchObject({
    code: 'EMTU',
    message: expect.stringMatching(/wg1\.conf: MTU 1279 .*1280/),
  });
  expect(await network.links.find('wg1')).toBeUndefined();
  expect(warned).toEqual([]);
  close();
  network.close();
});

test("raises a path's MTU to the minimum of IPv6 with a warning, but not without IPv6", async () => {
  const { machine, network } = await start();
  const narrow = (await network.links.find('narrow'))!.index;
  await network.routes.add({ destination: parsePrefix('198.51.100.7/32')!, link: narrow, mtu: 1300 });
  await network.routes.add({ destination: parsePrefix('198.51.100.8/32')!, link: narrow, mtu: 100 });
  const { host, close, warned } = machine.process();
  await up(host, target(file('Address = fd00::1/64', 'Endpoint = 198.51.100.7:1')));
  expect((await network.links.find('wg0'))?.mtu).toBe(1280);
  expect(warned).toEqual([expect.stringMatching(/an MTU of 1220, but IPv6 needs 1280, which is used:/)]);
  await up(host, target(file('', 'Endpoint = 198.51.100.7:1'), 'wg1'));
  expect((await network.links.find('wg1'))?.mtu).toBe(1220);
  expect(await found(network, ['198.51.100.8:1'])).toBe(68);
  close();
  network.close();
});

test('loopback is wide and never limits the MTU', async () => {
  const { machine, network } = await start();
  machine.kernel.world.links.set(1, { ...machine.kernel.world.links.get(2)!, index: 1, name: 'lo', mtu: 65536 });
  const destination = { address: parseAddress('127.0.0.0')!, length: 8 };
  await network.routes.add({ destination, link: 1, type: 2, table: TABLE.local });
  expect(await found(network, ['127.0.0.1:1'])).toBe(65456);
  expect(await found(network, ['127.0.0.1:1', '192.0.2.9:1'])).toBe(1420);
  network.close();
});
