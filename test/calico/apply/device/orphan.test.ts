/** A TUN whose process died (`wireguard-ts --persist`): the agent adopts it, or removes it. */
import { afterEach, beforeEach, expect, test } from 'vitest';
import { ensureLink, removeLink } from '../../../../src/calico/apply/device/link.ts';
import type { ApplyContext, ApplyHost } from '../../../../src/calico/apply/ports.ts';
import type { DesiredTunnel } from '../../../../src/calico/model/desired.ts';
import { Network } from '../../../../src/netlink/network.ts';
import { LINK_MARKER } from '../../../../src/netlink/orphan.ts';
import { FakeKernel } from '../../../support/fake-kernel/kernel.ts';

const NAME = 'wireguard.cali';
const TUNNEL = { interfaceName: NAME, mtu: 1420 } as DesiredTunnel;

let kernel: FakeKernel;
let network: Network;
let changes: string[];
let created: string[];
let context: ApplyContext;
beforeEach(() => {
  kernel = new FakeKernel({ kinds: ['tun'] });
  network = new Network(kernel);
  changes = [];
  created = [];
  const devices: Partial<ApplyHost['devices']> = {
    choose: async () => 'userspace',
    create: async name => {
      created.push(name);
      for (const link of kernel.world.links.values()) if (link.name === name) link.carrier = true;
    },
    status: async () => undefined,
    gone: async () => {},
  };
  const host = { network, devices, runners: { own: 'me', read: () => 'me', write: () => {} } } as unknown as ApplyHost;
  context = { host, family: 4, recordChange: text => changes.push(text) };
});
afterEach(() => network.close());

async function makeTun(alias: string, carrier: boolean): Promise<number> {
  const { index } = await network.links.create({ name: NAME, kind: 'tun', mtu: 1420, up: true, alias });
  kernel.world.links.get(index)!.carrier = carrier;
  return index;
}

test('is adopted, also if its index is known, and reported as without configuration', async () => {
  const index = await makeTun(LINK_MARKER, false);
  const usable = await ensureLink(context, TUNNEL, index);
  expect(usable).toMatchObject({ backend: 'userspace', isAdopted: true, link: { index, carrier: true } });
  expect(created).toEqual([NAME]);
  expect(changes.join()).toContain('adopted');
  expect(await ensureLink(context, TUNNEL, index)).toMatchObject({ isAdopted: false });
});

test('is removed', async () => {
  await makeTun(LINK_MARKER, false);
  await removeLink(context, NAME);
  expect(await network.links.find(NAME)).toBeUndefined();
});

test.each([
  ['a TUN of an administrator without a process', '', false],
  ['a TUN with our marker, whose process does not answer', LINK_MARKER, true],
])('%s is neither adopted nor removed', async (_what, alias, carrier) => {
  await makeTun(alias, carrier);
  await expect(ensureLink(context, TUNNEL, undefined)).rejects.toThrow(/was left untouched/);
  await removeLink(context, NAME);
  expect(await network.links.find(NAME)).toBeDefined();
  expect(created).toEqual([]);
});
