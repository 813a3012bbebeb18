/** Whose link it is: who deletes it at the end. */
import { afterEach, beforeEach, expect, test } from 'vitest';
import { KeptLink } from '../../src/daemon/kept-link.ts';
import type { Tun } from '../../src/io/ports.ts';
import { Network } from '../../src/netlink/network.ts';
import { LINK_MARKER } from '../../src/netlink/orphan.ts';
import { FakeKernel } from '../support/fake-kernel/kernel.ts';

let kernel: FakeKernel;
let network: Network;
beforeEach(() => {
  kernel = new FakeKernel({ kinds: ['tun'] });
  network = new Network(kernel);
});
afterEach(() => network.close());

/** Opens a persistent TUN. @returns the link, and what persist() was called with */
async function open(alias: string, isInherited: boolean): Promise<{ link: KeptLink; persisted: boolean[] }> {
  await network.links.create({ name: 'wg0', kind: 'tun', alias });
  const persisted: boolean[] = [];
  const tun: Partial<Tun> = {
    wasPersistent: true,
    persist: on => void persisted.push(on),
    status: () => ({ name: 'wg0', index: 1, mtu: 1420, up: true }),
    close: () => {},
  };
  const link = await KeptLink.open({
    ...{ name: 'wg0', port: kernel, persist: true, isInherited, mtu: 1420 },
    open: () => tun as Tun,
  });
  return { link, persisted };
}

test('a marked link that a process left is adopted, and deleted at the end', async () => {
  const { link, persisted } = await open(LINK_MARKER, false);
  expect(link).toMatchObject({ isAdopted: true, isOurs: true, isKept: true });
  link.release();
  expect(persisted).toEqual([false]);
});

test('a marked link whose descriptor was inherited belongs to the program that made it', async () => {
  const { link, persisted } = await open(LINK_MARKER, true);
  expect(link).toMatchObject({ isAdopted: false, isOurs: false, isKept: false });
  link.release();
  expect(persisted).toEqual([]);
});

test.each([false, true])("an administrator's link stays (inherited: %s)", async isInherited => {
  const { link, persisted } = await open('mine', isInherited);
  expect(link).toMatchObject({ isAdopted: false, isOurs: false });
  link.release();
  expect(persisted).toEqual([]);
});
