/** A device that another container or program version runs is taken over, with its sessions. */
import { expect, test, vi } from 'vitest';
import { ensureLink } from '../../../../src/calico/apply/device/link.ts';
import type { ApplyContext, ApplyHost, Runners } from '../../../../src/calico/apply/ports.ts';
import type { NetworkEvent } from '../../../../src/netlink/events.ts';
import { LINK_MARKER } from '../../../../src/netlink/orphan.ts';
import { tunnel } from '../node.ts';
import { NAME, Scene } from '../scene.ts';

const OWN = 'version 2 in container 2';
const WANTED = tunnel(4, []);

interface Machine {
  readonly context: ApplyContext;
  readonly changes: string[];
  readonly warned: string[];
  readonly recorded: Map<string, string>;
  readonly takeOver: ReturnType<typeof vi.fn<(name: string) => Promise<boolean>>>;
}

function machine(
  kind: 'tun' | 'wireguard',
  runner?: string,
  takeOver: () => Promise<boolean> = async () => true,
): Machine {
  const recorded = new Map(runner === undefined ? [] : [[WANTED.interfaceName, runner]]);
  const [changes, warned]: string[][] = [[], []];
  const link = { index: 7, name: WANTED.interfaceName, kind, mtu: WANTED.mtu, up: true, running: true };
  const failures = new Set<string>();
  const runners: Runners = {
    own: OWN,
    read: name => recorded.get(name),
    write: (name, by) => void recorded.set(name, by),
    isNews: (_, failure) => !failures.has(failure) && failures.add(failure) !== undefined,
  };
  const called = vi.fn(takeOver);
  const host = {
    network: { links: { find: async () => link } },
    devices: { status: async () => ({ peers: [] }), takeOver: called },
    runners,
    warn: (text: string) => void warned!.push(text),
  } as unknown as ApplyHost;
  const context = { host, family: 4 as const, recordChange: (text: string) => void changes!.push(text) };
  return { context, changes: changes!, warned: warned!, recorded, takeOver: called };
}

test.each([
  ['of another container', 'version 2 in container 1'],
  ['of another version', 'version 1 in container 2'],
  ['that no agent recorded', undefined],
])('takes a device over from a process %s, once', async (_, runner) => {
  const { context, changes, recorded, takeOver } = machine('tun', runner);
  await ensureLink(context, WANTED, undefined);
  await ensureLink(context, WANTED, undefined);
  expect(takeOver.mock.calls).toEqual([[WANTED.interfaceName]]);
  expect(recorded.get(WANTED.interfaceName)).toBe(OWN);
  expect(changes).toEqual([expect.stringMatching(/^device .*: taken over from /)]);
});

test('leaves its own device, a kernel device, and a link that it knows', async () => {
  for (const { context, takeOver } of [machine('tun', OWN), machine('wireguard', 'another')]) {
    await ensureLink(context, WANTED, undefined);
    expect(takeOver).not.toHaveBeenCalled();
  }
  const { context, takeOver } = machine('tun', 'another');
  await ensureLink(context, WANTED, 7);
  expect(takeOver).not.toHaveBeenCalled();
});

test.each<[string, () => Promise<boolean>, RegExp]>([
  ['is too old to hand it over', async () => false, /of an older version/],
  ['refuses', () => Promise.reject(new Error('it is busy')), /it is busy/],
])('keeps the device if its process %s, says so once, and tries again', async (_, takeOver, says) => {
  const { context, changes, warned, recorded, takeOver: called } = machine('tun', 'another', takeOver);
  for (let turn = 0; turn < 3; turn++)
    expect(await ensureLink(context, WANTED, undefined)).toMatchObject({ backend: 'userspace' });
  expect(called).toHaveBeenCalledTimes(3);
  expect([changes, recorded.get(WANTED.interfaceName)]).toEqual([[], 'another']);
  expect(warned).toEqual([expect.stringMatching(says)]);
});

test('adopts the link in the same turn if its process ends instead of handing it over', async () => {
  let process: 'old' | 'none' | 'new' = 'old';
  const { context, changes, recorded } = machine('tun', 'another', async () => {
    process = 'none';
    return false;
  });
  const { host } = context;
  const link = { index: 7, name: WANTED.interfaceName, kind: 'tun', alias: LINK_MARKER, mtu: WANTED.mtu, up: true };
  Object.assign(host.network.links, {
    find: async () => ({ ...link, running: process !== 'none', carrier: process !== 'none' }),
  });
  Object.assign(host.devices, {
    create: async () => {
      process = 'new';
    },
  });
  expect(await ensureLink(context, WANTED, undefined)).toMatchObject({ isAdopted: true });
  expect([process, recorded.get(WANTED.interfaceName)]).toEqual(['new', OWN]);
  expect(changes).toEqual([expect.stringMatching(/adopted, because its process died/)]);
});

const scene = new Scene([4]);
test('a persistent TUN whose process ended is a foreign change', async () => {
  let listener: ((event: NetworkEvent) => void) | undefined;
  await scene.apply(scene.wanted());
  const watch = vi.spyOn(scene.process.host.network, 'watch').mockImplementation((_, onEvent) => {
    listener = onEvent as typeof listener;
    return { close: () => {} };
  });
  const seen: string[] = [];
  scene.process.applier.watch(what => seen.push(what));
  const link = { index: scene.index(4), name: NAME(4), up: true, running: true };
  const event = (running: boolean) =>
    ({ of: 'link', gone: false, link: { ...link, running } }) as unknown as NetworkEvent;
  listener!(event(true));
  expect(seen).toEqual([]);
  listener!(event(false));
  expect(seen).toEqual([`interface ${NAME(4)} does not run`]);
  watch.mockRestore();
});
