/** An interface whose process died: when `wgts up --watch` tries again, and when it gives up. */
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { BackOff } from '../../src/base/back-off.ts';
import { withLock } from '../../src/host/interface-lock.ts';
import { restoreInterface } from '../../src/host/restore-interface.ts';
import { LINK_MARKER } from '../../src/netlink/orphan.ts';
import type { DeviceKind } from '../../src/quick/state.ts';
import { FakeMachine, type Process, type ProcessOptions, target } from '../quick/fake-machine.ts';
import { linkNamed } from '../support/fake-kernel/world.ts';

/** No interface of this machine, because the lock is a real one. */
const NAME = `r${process.pid}`;
const WANTED = target(
  `[Interface]
Address = 10.9.0.2/24
PrivateKey = oK56DE9Ue9zK76rAc8pBl6opph+1v36lm7cXXsQKrQM=
[Peer]
PublicKey = GtL7fZc/bLnqZldpVofMCD6hDjrK28SsdLxevJ+qtKU=
AllowedIPs = 10.7.0.0/16
`,
  NAME,
);

let machine: FakeMachine;
let running: Process;
let stop: AbortController;
/** How often a process was started for the interface. */
let started: number;

beforeEach(async () => {
  machine = await FakeMachine.start();
  stop = new AbortController();
  started = 0;
});
afterEach(() => {
  stop.abort();
  running.close();
});

/** Brings the interface up as userspace does, and kills its process. */
async function killed(options: ProcessOptions = {}): Promise<void> {
  begin();
  await restore();
  running.close();
  begin(options);
  const link = linkNamed(machine.kernel.world, NAME)!;
  link.carrier = false;
  started = 0;
}

/** Starts a wgts whose devices are TUN links with our marker. */
function begin(options: ProcessOptions = {}): void {
  running = machine.process(options);
  const { devices, network } = running.host;
  const at = () => linkNamed(machine.kernel.world, NAME);
  Object.assign(devices, {
    choose: async (): Promise<DeviceKind> => 'userspace',
    create: async (name: string) => {
      started++;
      const link = at();
      if (link) link.carrier = true;
      else await network.links.create({ name, kind: 'tun', alias: LINK_MARKER });
    },
    status: async () =>
      at()?.carrier
        ? { privateKey: new Uint8Array(32), publicKey: undefined, listenPort: 1, fwmark: 0, peers: [] }
        : undefined,
    configure: async () => {},
  });
}

const restore = () =>
  restoreInterface(running.host, WANTED, { signal: stop.signal, backOff: new BackOff(1, 4), patience: 0 });
const isUp = () => running.host.readState(NAME)?.phase === 'up' && linkNamed(machine.kernel.world, NAME)?.carrier;

describe('while the link is there, it tries again after', () => {
  test('a lock that another wgts holds', async () => {
    await killed();
    let free = () => {};
    const until = new Promise<void>(resolve => {
      free = resolve;
    });
    const held = withLock(NAME, () => until);
    const restored = restore();
    await Promise.race([restored, warned('another wgts is at work')]);
    free();
    await Promise.all([restored, held]);
    expect(isUp()).toBe(true);
  });

  test('an error before the adoption is recorded', async () => {
    let failures = 0;
    const fails: ProcessOptions['fails'] = name =>
      name === 'remember starting' && failures++ < 2 ? new Error('the disk is full') : undefined;
    await killed({ fails });
    await restore();
    expect(running.warned.filter(text => text.startsWith('the disk is full'))).toHaveLength(2);
    expect(isUp()).toBe(true);
  });

  test('an error of reading the links', async () => {
    await killed();
    const { links } = running.host.network;
    const find = links.find.bind(links);
    let asked = 0;
    links.find = name => (++asked < 4 ? Promise.reject(new Error('ENOBUFS')) : find(name));
    await restore();
    expect(isUp()).toBe(true);
  });
});

test('userspace adopts its link although the kernel could run the interface by now', async () => {
  await killed();
  const { index } = linkNamed(machine.kernel.world, NAME)!;
  running.host.devices.choose = async () => 'kernel';
  await restore();
  expect(started).toBe(1);
  expect(linkNamed(machine.kernel.world, NAME)).toMatchObject({ index, kind: 'tun', carrier: true });
  expect(running.host.readState(NAME)).toMatchObject({ phase: 'up', backend: 'userspace' });
});

test('it ends when another wgts has brought the interface up', async () => {
  await killed();
  const { host } = running;
  const { links } = host.network;
  const find = links.find.bind(links);
  let asked = 0;
  links.find = name => {
    // after processEnded, and before `up` looks
    if (++asked === 2) linkNamed(machine.kernel.world, NAME)!.carrier = true;
    return find(name);
  };
  await restore();
  expect(started).toBe(0);
  expect(isUp()).toBe(true);
});

test('without a link, the error ends it', async () => {
  begin();
  running.host.devices.choose = () => Promise.reject(new Error('no answer over netlink'));
  await expect(restore()).rejects.toThrow('no answer over netlink');
});

test('a link of an administrator, without our marker, is no reason to try again', async () => {
  begin();
  await running.host.network.links.create({ name: NAME, kind: 'tun', alias: 'mine' });
  linkNamed(machine.kernel.world, NAME)!.carrier = false;
  await expect(restore()).rejects.toMatchObject({ code: 'EEXIST' });
});

test('a signal ends it between two attempts', async () => {
  await killed();
  running.host.devices.create = () => {
    stop.abort();
    return Promise.reject(new Error('no memory'));
  };
  await expect(restore()).rejects.toThrow('no memory');
});

/** Waits until a warning begins so, or the test has ended. */
async function warned(text: string): Promise<void> {
  while (!stop.signal.aborted && !running.warned.some(each => each.startsWith(text))) await new Promise(setImmediate);
}
