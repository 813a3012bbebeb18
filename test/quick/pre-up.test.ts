/** PreUp's settings survive: next to the file's, through a crash, and when the file changes. */
import { expect, test } from 'vitest';
import { parseAddress } from '../../src/base/address.ts';
import { makeEndpoint } from '../../src/base/endpoint.ts';
import { formatKeyBase64, parseKeyBase64 } from '../../src/base/key.ts';
import { parsePrefix } from '../../src/base/prefix.ts';
import type { DeviceStatus } from '../../src/config/model.ts';
import type { Network } from '../../src/netlink/network.ts';
import { KernelWireguard } from '../../src/netlink/wireguard.ts';
import type { UpTarget } from '../../src/quick/ports.ts';
import { down, reload, up } from '../../src/quick/quick.ts';
import { FakeMachine, Killed, type ProcessOptions, target } from './fake-machine.ts';

const PEERS = ['GtL7fZc/bLnqZldpVofMCD6hDjrK28SsdLxevJ+qtKU=', 'xTIBA5rboUvnH4htodjb6e697QjLERt1NAB4mZqp8Dg='];
const OWN = key(PEERS[0]!);
const OTHER = key(PEERS[1]!);
const KEY = key('oK56DE9Ue9zK76rAc8pBl6opph+1v36lm7cXXsQKrQM=');
const SECRET = key('/UwcSPg38hW/D9Y3tcS1FOV0K1wuURMbS0sesJEP5ak=');

const file = (interface_: string, ...peers: readonly string[]) =>
  target(`[Interface]\nAddress = 10.9.0.2/24\n${interface_}\n${peers.map(text => `[Peer]\n${text}\n`).join('')}`);
const PRE_UP = 'PreUp = sets keys';
const FILE = file(PRE_UP, `PublicKey = ${PEERS[0]}\nAllowedIPs = 10.7.0.0/16`);

function key(text: string): Uint8Array {
  return parseKeyBase64(text)!;
}

/** Starts a machine whose hook sets a key, a secret for the file's peer, and a peer of its own. */
async function start(more: (network: Network) => Promise<void> = async () => {}): Promise<FakeMachine> {
  const machine = await FakeMachine.start();
  machine.onHook = async (command, network) => {
    if (command !== 'sets keys') return;
    await configure(machine, {
      privateKey: KEY,
      peers: [
        { publicKey: OWN, presharedKey: SECRET, persistentKeepalive: 25 },
        {
          publicKey: OTHER,
          presharedKey: SECRET,
          endpoint: makeEndpoint(parseAddress('198.51.100.7')!, 7),
          allowedIps: [{ prefix: parsePrefix('10.77.0.0/16')! }],
        },
      ],
    });
    await more(network);
  };
  return machine;
}

async function configure(machine: FakeMachine, config: Parameters<KernelWireguard['set']>[1]): Promise<void> {
  const { before } = machine.kernel;
  // The hook does this, not the process.
  machine.kernel.before = undefined;
  const wireguard = (await KernelWireguard.open(machine.kernel))!;
  await wireguard.set('wg0', config);
  wireguard.close();
  machine.kernel.before = before;
}

async function run(machine: FakeMachine, what: 'up' | 'down' | 'reload', goal: UpTarget, options: ProcessOptions = {}) {
  const process = machine.process(options);
  try {
    await { up, down, reload }[what](process.host, goal);
    return process;
  } finally {
    process.close();
  }
}

async function device(machine: FakeMachine): Promise<DeviceStatus> {
  const process = machine.process();
  const status = await process.host.devices.status('wg0');
  process.close();
  return status!;
}

const peersOf = async (machine: FakeMachine) =>
  Object.fromEntries((await device(machine)).peers.map(peer => [formatKeyBase64(peer.publicKey), peer]));
const routesOf = (machine: FakeMachine) => machine.picture()['routes'] as string[];

test('runs after the link exists and before names are resolved, and the file adds to its settings', async () => {
  const order: string[] = [];
  const machine = await start(async network => {
    order.push(`PreUp with ${(await network.links.find('wg0'))?.name}`);
  });
  const { resolve } = FILE;
  const asked: UpTarget = {
    ...FILE,
    resolve: () => {
      order.push('names');
      return resolve();
    },
  };
  const { said } = await run(machine, 'up', asked);
  expect(order).toEqual(['PreUp with wg0', 'names']);
  expect(said.slice(0, 3)).toEqual(["link wg0: the kernel's WireGuard", 'PreUp: sets keys', 'configure wg0: 1 peer']);
  const status = await device(machine);
  expect(status.privateKey).toBeDefined();
  const peers = await peersOf(machine);
  expect(peers[PEERS[0]!]).toMatchObject({ presharedKey: SECRET, persistentKeepalive: 25 });
  expect(peers[PEERS[1]!]).toMatchObject({ presharedKey: SECRET, allowedIps: [parsePrefix('10.77.0.0/16')] });
  // As in wg-quick: routes for all peers that the device has at this point.
  expect(routesOf(machine)).toEqual(['0.0.0.0/0 eth0 254', '10.7.0.0/16 wg0 254', '10.77.0.0/16 wg0 254']);
  await run(machine, 'down', FILE);
  expect(machine.picture()['links']).toHaveLength(2);
});

test("the file's settings override those of PreUp", async () => {
  const other = formatKeyBase64(new Uint8Array(32).fill(8));
  const machine = await start();
  await run(
    machine,
    'up',
    file(
      `${PRE_UP}\nPrivateKey = ${other}\nListenPort = 777`,
      `PublicKey = ${PEERS[0]}\nPresharedKey = ${other}\nPersistentKeepalive = 0\nAllowedIPs = 10.77.0.0/16`,
      `PublicKey = ${PEERS[1]}`,
    ),
  );
  const status = await device(machine);
  expect(status.listenPort).toBe(777);
  expect(status.privateKey![1]).toBe(8);
  const peers = await peersOf(machine);
  expect(peers[PEERS[0]!]).toMatchObject({
    presharedKey: key(other),
    persistentKeepalive: 0,
    allowedIps: [parsePrefix('10.77.0.0/16')],
  });
  // The prefix belongs to the last peer that claimed it.
  expect(peers[PEERS[1]!]).toMatchObject({ presharedKey: SECRET, allowedIps: [] });
});

test("uses its mark as routing table and its peer's endpoint for the MTU, and keeps its addresses and routes", async () => {
  const machine = await start(async network => {
    await configure(machine, { fwmark: 0x99 });
    const eth1 = await network.links.create({ name: 'eth1', kind: 'dummy', up: true, mtu: 1400 });
    await network.addresses.add(eth1, { address: parseAddress('198.51.100.1')!, prefixLength: 24 });
    const wg0 = (await network.links.find('wg0'))!;
    await network.links.change(wg0, { up: true });
    await network.addresses.add(wg0, { address: parseAddress('10.9.0.2')!, prefixLength: 24 });
    await network.addresses.add(wg0, { address: parseAddress('10.9.0.3')!, prefixLength: 24 });
    await network.routes.add({ destination: parsePrefix('10.7.0.0/16')!, link: wg0.index });
  });
  const full = file(PRE_UP, `PublicKey = ${PEERS[0]}\nAllowedIPs = 0.0.0.0/0, 10.7.0.0/16`);
  await run(machine, 'up', full);
  expect((await device(machine)).fwmark).toBe(0x99);
  const { rules, links, addresses } = machine.picture();
  expect(rules).toContain('IPv4 not fwmark 153 table 153 priority 32765');
  expect(links).toContain('wg0 wireguard 1320 true');
  expect(addresses).toEqual(expect.arrayContaining(['wg0 10.9.0.2/24', 'wg0 10.9.0.3/24']));
  const split = `PublicKey = ${PEERS[0]}\nAllowedIPs = 10.7.0.0/16`;
  await run(machine, 'reload', file(PRE_UP, split));
  expect((await device(machine)).fwmark).toBe(0x99);
  expect(machine.picture()['rules']).toHaveLength(5);
  await run(machine, 'reload', file(`${PRE_UP}\nFwMark = off`, split));
  expect((await device(machine)).fwmark).toBe(0);
});

test('a failing PreUp removes the interface', async () => {
  const machine = await FakeMachine.start();
  const empty = machine.picture();
  const fails = (name: string) => (name === 'hook sets keys' ? new Error('no such key') : undefined);
  await expect(run(machine, 'up', FILE, { fails })).rejects.toThrow('no such key');
  expect(machine.picture()).toEqual(empty);
  machine.onHook = async (_, network) => network.links.remove((await network.links.find('wg0'))!);
  await expect(run(machine, 'up', FILE)).rejects.toThrow('a hook or another program removed it');
  expect(machine.picture()).toEqual(empty);
});

test('up, killed at any step, then up keeps its settings, and down leaves nothing', async () => {
  const whole = await start();
  const { steps } = await run(whole, 'up', FILE);
  const goal = whole.picture();
  for (let killAt = 0; killAt < steps.length; killAt++) {
    const machine = await start();
    const empty = machine.picture();
    await expect(run(machine, 'up', FILE, { killAt })).rejects.toThrow(Killed);
    await run(machine, 'up', FILE);
    expect(machine.picture(), `killed at ${killAt}`).toEqual(goal);
    await run(machine, 'down', FILE);
    expect(machine.picture(), `killed at ${killAt}, down`).toEqual(empty);
  }
});

test('up, killed at any step, then up with another file leaves nothing of the first', async () => {
  const changed = file('PreUp = other', `PublicKey = ${PEERS[0]}\nAllowedIPs = 10.6.0.0/16`);
  const other = await start();
  await run(other, 'up', changed);
  const goal = other.picture();
  const { steps } = await run(await start(), 'up', FILE);
  for (let killAt = 0; killAt < steps.length; killAt++) {
    const machine = await start();
    await expect(run(machine, 'up', FILE, { killAt })).rejects.toThrow(Killed);
    await run(machine, 'up', changed);
    expect(machine.picture(), `killed at ${killAt}`).toEqual(goal);
  }
});

test('runs again when the interface is recreated', async () => {
  const machine = await start();
  await run(machine, 'up', FILE);
  const goal = machine.picture();
  const dying = machine.process();
  await dying.host.network.links.remove((await dying.host.network.links.find('wg0'))!);
  dying.close();
  await expect(run(machine, 'reload', FILE)).rejects.toMatchObject({ code: 'ENODEV' });
  await run(machine, 'up', FILE);
  expect(machine.hooks).toEqual(['sets keys', 'sets keys']);
  expect(machine.picture()).toEqual(goal);
});

const SECOND = 'TrMvSoP4jYQlY6RIzBgbssQqY3vxI2Pi+y71lOWWXX0=';
const BEFORE = file(
  `${PRE_UP}\nFwMark = 0x77`,
  `PublicKey = ${PEERS[0]}\nAllowedIPs = 10.7.0.0/16`,
  `PublicKey = ${SECOND}\nPresharedKey = ${formatKeyBase64(SECRET)}\nPersistentKeepalive = 9\nAllowedIPs = 10.5.0.0/16, 10.4.0.0/16`,
);

test('a reload removes what the file no longer sets, but not what hooks and users set', async () => {
  const machine = await start();
  await run(machine, 'up', BEFORE);
  const third = new Uint8Array(32).fill(3);
  await configure(machine, { peers: [{ publicKey: third, allowedIps: [{ prefix: parsePrefix('10.33.0.0/16')! }] }] });
  await run(machine, 'reload', file(PRE_UP, `PublicKey = ${SECOND}\nAllowedIPs = 10.4.0.0/16`));
  const status = await device(machine);
  expect(status.privateKey).toBeDefined();
  expect(status.fwmark).toBe(0);
  const peers = await peersOf(machine);
  expect(peers[SECOND]).toMatchObject({ persistentKeepalive: 0, allowedIps: [parsePrefix('10.4.0.0/16')] });
  expect(peers[SECOND]!.presharedKey).toBeUndefined();
  expect(peers[PEERS[1]!]).toMatchObject({ presharedKey: SECRET });
  // PreUp created this peer, and the file only added to it.
  expect(peers[PEERS[0]!]).toMatchObject({ presharedKey: SECRET, persistentKeepalive: 25 });
  expect(peers[formatKeyBase64(third)]).toBeDefined();
  // A peer that a user added gets no route, and PreUp's peer keeps its route.
  expect(routesOf(machine)).not.toContain('10.33.0.0/16 wg0 254');
  expect(routesOf(machine)).toEqual(expect.arrayContaining(['10.4.0.0/16 wg0 254', '10.77.0.0/16 wg0 254']));
  expect(routesOf(machine)).not.toContain('10.5.0.0/16 wg0 254');
  // A peer that only the file had is removed with it.
  await run(machine, 'reload', FILE);
  expect(Object.keys(await peersOf(machine))).not.toContain(SECOND);
});

test('a reload, killed at any step, can be continued', async () => {
  const other = await start();
  await run(other, 'up', BEFORE);
  const { steps } = await run(other, 'reload', FILE);
  const goal = other.picture();
  for (let killAt = 0; killAt < steps.length; killAt++) {
    const machine = await start();
    await run(machine, 'up', BEFORE);
    await expect(run(machine, 'reload', FILE, { killAt })).rejects.toThrow(Killed);
    const process = machine.process();
    const isUp = process.host.readState('wg0')!.phase === 'up';
    process.close();
    await run(machine, isUp ? 'reload' : 'up', FILE);
    expect(machine.picture(), `killed at ${killAt}`).toEqual(goal);
  }
});

test("an older version's state counts every setting as the file's", async () => {
  const machine = await start();
  await run(machine, 'up', BEFORE);
  const state = JSON.parse(machine.states.get('wg0')!);
  delete state.configured;
  machine.states.set('wg0', JSON.stringify(state));
  await run(machine, 'reload', FILE);
  expect(Object.keys(await peersOf(machine))).toEqual([PEERS[0]]);
  expect((await device(machine)).privateKey).toBeDefined();
});

test('a device of the other kind that a killed up began is still recognized as ours', async () => {
  const begun = async (): Promise<FakeMachine> => {
    const machine = await start();
    const { host, close } = machine.process();
    await host.network.links.create({ name: 'wg0', kind: 'tun' });
    host.writeState({
      version: 1,
      name: 'wg0',
      file: '/etc/wireguard/wg0.conf',
      phase: 'starting',
      backend: 'userspace',
      made: true,
      hooksDone: ['PreUp 0'],
    });
    close();
    return machine;
  };
  const undisturbed = await begun();
  const { steps } = await run(undisturbed, 'up', FILE);
  const goal = undisturbed.picture();
  expect(goal['links']).toContain('wg0 wireguard 1420 true');
  for (let killAt = 0; killAt < steps.length; killAt++) {
    const machine = await begun();
    await expect(run(machine, 'up', FILE, { killAt })).rejects.toThrow(Killed);
    await run(machine, 'up', FILE);
    expect(machine.picture(), `killed at ${killAt}`).toEqual(goal);
  }
});
