/** The contract of links, addresses and events, for the real kernel and the fake. */
import { setTimeout as sleep } from 'node:timers/promises';
import { describe, expect, test } from 'vitest';
import { formatAddress } from '../../src/base/address.ts';
import type { Family } from '../../src/base/family.ts';
import { formatPrefix } from '../../src/base/prefix.ts';
import type { NetworkEvent } from '../../src/netlink/events.ts';
import type { Link } from '../../src/netlink/links.ts';
import { Network } from '../../src/netlink/network.ts';
import type { NetlinkPort } from '../../src/netlink/port.ts';
import { TABLE } from '../../src/netlink/route.ts';
import { HANG_MS } from '../support/patience.ts';
import { host, net, OWN_TABLE, rejection, stage } from './netlink-stage.ts';

export function networkContract(open: () => NetlinkPort, kind: () => string): void {
  const on = stage(open, kind);

  describe('links', () => {
    test('are created, found, listed, changed and removed', async () => {
      const made = await on.network.links.create({ name: 'nl1', kind: kind(), mtu: 1380, alias: 'für wg0' });
      expect(made).toMatchObject({ name: 'nl1', kind: kind(), mtu: 1380, up: false, alias: 'für wg0' });
      expect(await on.network.links.find('nl1')).toEqual(made);
      expect(await on.network.links.find(made.index)).toEqual(made);
      expect((await on.network.links.list()).map(({ name }) => name)).toEqual(
        expect.arrayContaining(['lo', 'nl0', 'nl1']),
      );
      await on.network.links.change(made, { mtu: 1400, up: true, alias: '' });
      const changed = await on.network.links.find('nl1');
      expect(changed).toMatchObject({ mtu: 1400, up: true });
      expect(changed?.alias).toBeUndefined();
      await on.network.links.change(made, { up: false, name: 'nl2' });
      expect(await on.network.links.find(made.index)).toMatchObject({ name: 'nl2', up: false, mtu: 1400 });
      await on.network.links.remove(made);
      expect(await on.network.links.find('nl2')).toBeUndefined();
      expect(await on.network.links.find(made.index)).toBeUndefined();
    });

    test('refusals name the attempt and the errno', async () => {
      const again = { name: 'nl0', kind: kind() };
      expect(await rejection(on.network.links.create(again))).toBe(
        `creating link nl0 of kind ${kind()}: EEXIST (File exists)`,
      );
      expect(await rejection(on.network.links.create({ name: 'nl1', kind: 'nonsense' }))).toBe(
        'creating link nl1 of kind nonsense: EOPNOTSUPP (Operation not supported): Unknown device type',
      );
      const nowhere = { index: 54321, name: 'nl9' };
      expect(await rejection(on.network.links.change(nowhere, { up: true, mtu: 1400 }))).toMatch(
        /^setting up, MTU 1400 on nl9: ENODEV \(No such device\)/,
      );
      expect(await rejection(on.network.links.remove(nowhere))).toMatch(/^removing link nl9: ENODEV/);
      expect(await on.network.links.find('a name that no link has')).toBeUndefined();
      await expect(on.network.links.create({ name: 'nl1', kind: 'nonsense' })).rejects.toMatchObject({
        name: 'NetlinkError',
        code: 'EOPNOTSUPP',
        errno: 95,
        attempted: 'creating link nl1 of kind nonsense',
        detail: 'Unknown device type',
      });
    });
  });

  describe('addresses', () => {
    const texts = async (family?: Family) =>
      (await on.network.addresses.list(on.link, family))
        .map(({ address, prefixLength }) => `${formatAddress(address)}/${prefixLength}`)
        .filter(text => !text.startsWith('fe80'))
        .sort();

    test('of both families are added, listed, updated and removed', async () => {
      for (const text of ['10.1.0.1/24', '10.2.0.1/32', 'fd01::1/64'])
        await on.network.addresses.add(on.link, host(text));
      expect(await texts()).toEqual(['10.1.0.1/24', '10.2.0.1/32', 'fd01::1/64']);
      expect(await texts(4)).toEqual(['10.1.0.1/24', '10.2.0.1/32']);
      expect(
        (await on.network.addresses.list()).filter(({ index }) => index === on.link.index).length,
      ).toBeGreaterThanOrEqual(3);
      for (const text of ['10.1.0.1/24', 'fd01::1/64', '10.3.0.1/16'])
        await on.network.addresses.replace(on.link, host(text));
      expect(await texts()).toEqual(['10.1.0.1/24', '10.2.0.1/32', '10.3.0.1/16', 'fd01::1/64']);
      for (const text of ['10.1.0.1/24', 'fd01::1/64']) await on.network.addresses.remove(on.link, host(text));
      expect(await texts()).toEqual(['10.2.0.1/32', '10.3.0.1/16']);
    });

    test('invalid ones are refused', async () => {
      await on.network.addresses.add(on.link, host('10.1.0.1/24'));
      await on.network.addresses.add(on.link, host('fd01::1/64'));
      expect(await rejection(on.network.addresses.add(on.link, host('10.1.0.1/24')))).toMatch(
        /^adding address 10\.1\.0\.1\/24 to nl0: EEXIST \(File exists\)/,
      );
      expect(await rejection(on.network.addresses.add(on.link, host('fd01::1/64')))).toMatch(
        /^adding address fd01::1\/64 to nl0: EEXIST/,
      );
      expect(await rejection(on.network.addresses.remove(on.link, host('10.9.9.9/24')))).toMatch(
        /^removing address 10\.9\.9\.9\/24 from nl0: EADDRNOTAVAIL/,
      );
      expect(await rejection(on.network.addresses.remove(on.link, host('fd09::9/64')))).toMatch(/: EADDRNOTAVAIL/);
      expect(await rejection(on.network.addresses.add({ index: 54321, name: 'nl9' }, host('10.1.0.1/24')))).toMatch(
        / nl9: ENODEV/,
      );
    });

    test('add their routes; setting the link down removes these and IPv6 addresses', async () => {
      const connected = async () =>
        (await on.network.routes.list({ table: TABLE.main }))
          .map(({ destination, scope, metric }) => `${formatPrefix(destination)} scope ${scope} metric ${metric}`)
          .filter(text => !text.includes('fe80'));
      await on.network.addresses.add(on.link, host('10.1.0.1/24'));
      await on.network.addresses.add(on.link, host('10.2.0.1/32'));
      await on.network.addresses.add(on.link, host('fd01::1/64'));
      const there = ['10.1.0.0/24 scope 253 metric undefined', 'fd01::/64 scope 0 metric 256'];
      expect(await connected()).toEqual(there);
      await on.network.links.change(on.link, { up: false });
      expect(await connected()).toEqual([]);
      expect(await texts()).toEqual(['10.1.0.1/24', '10.2.0.1/32']);
      await on.network.links.change(on.link, { up: true });
      expect(await connected()).toEqual(there.slice(0, 1));
    });
  });

  test('events report each change, in order, and none after close', async () => {
    const events: string[] = [];
    const watch = on.network.watch(['link', 'address', 'route', 'rule'], event => events.push(...word(event, on.link)));
    await on.network.addresses.add(on.link, host('10.1.0.1/32'));
    await on.network.routes.add({ destination: net('10.5.0.0/16'), table: OWN_TABLE, link: on.link.index });
    await on.network.rules.add({ family: 6, priority: 9, table: OWN_TABLE });
    await on.network.links.change(on.link, { mtu: 1390 });
    await on.network.rules.remove({ family: 6, priority: 9 });
    await on.network.routes.remove({ destination: net('10.5.0.0/16'), table: OWN_TABLE });
    await on.network.addresses.remove(on.link, host('10.1.0.1/32'));
    await on.network.links.remove(on.link);
    const wanted = [
      '+ address 10.1.0.1',
      '+ route 10.5.0.0/16',
      '+ rule 9',
      '+ link nl0 1390',
      '- rule 9',
      '- route 10.5.0.0/16',
      '- address 10.1.0.1',
      '- link nl0 1390',
    ];
    for (const end = Date.now() + HANG_MS; !events.includes(wanted.at(-1)!) && Date.now() < end; ) await sleep(20);
    // The kernel reports some changes twice.
    expect([...new Set(events)].filter(event => wanted.includes(event))).toEqual(wanted);
    watch.close();
    const before = events.length;
    await on.network.links.create({ name: 'nl1', kind: kind() });
    await sleep(50);
    expect(events.length).toBe(before);
  });

  test('requests under way when the socket is closed reject, and so do later ones', async () => {
    const other = new Network(open());
    const listing = rejection(other.links.list());
    other.close();
    expect(await listing).toBe('listing links: the netlink socket was closed');
    expect(await rejection(other.links.list())).toBe('listing links: the netlink socket was closed');
  });
}

/** Describes events of the link and of our own table. */
function word(event: NetworkEvent, link: Link): string[] {
  if (event.of === 'resync') return ['resync'];
  const sign = event.gone ? '-' : '+';
  if (event.of === 'link')
    return event.link.index === link.index ? [`${sign} link ${event.link.name} ${event.link.mtu}`] : [];
  if (event.of === 'address') return [`${sign} address ${formatAddress(event.address.address)}`];
  if (event.of === 'route')
    return event.route.table === OWN_TABLE ? [`${sign} route ${formatPrefix(event.route.destination)}`] : [];
  return [`${sign} rule ${event.rule.priority}`];
}
