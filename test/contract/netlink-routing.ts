/** The contract of routes and rules, for the real kernel and the fake. */
import { beforeEach, describe, expect, test } from 'vitest';
import { formatAddress } from '../../src/base/address.ts';
import type { Family } from '../../src/base/family.ts';
import { formatPrefix } from '../../src/base/prefix.ts';
import type { NetlinkPort } from '../../src/netlink/port.ts';
import { PROTOCOL, ROUTE_FLAG, ROUTE_TYPE, type Route, TABLE } from '../../src/netlink/route.ts';
import { host, ip, net, OWN_TABLE, rejection, stage } from './netlink-stage.ts';

/** Any value but 0, so that no test compares with a number that the kernel chose. */
const MARK = 0xca6c;

export function routingContract(open: () => NetlinkPort, kind: () => string): void {
  const on = stage(open, kind);

  /** Returns a table's routes through nl0 or without a link, as text. */
  const routesOf = async (table: number): Promise<string[]> =>
    (await on.network.routes.list({ table })).map(describeForTest).sort();
  const describeForTest = (route: Route): string => {
    const type = Object.entries(ROUTE_TYPE).find(([, number]) => number === route.type)![0];
    return [
      type === 'unicast' ? [] : [type],
      formatPrefix(route.destination),
      route.gateway ? [`via ${formatAddress(route.gateway)}`] : [],
      route.link === undefined || type !== 'unicast'
        ? []
        : [`link ${route.link === on.link.index ? 'nl0' : route.link}`],
      route.scope === 0 ? [] : [`scope ${route.scope}`],
      route.metric ? [`metric ${route.metric}`] : [],
      route.preferredSource ? [`from ${formatAddress(route.preferredSource)}`] : [],
      route.flags & ROUTE_FLAG.onLink ? ['onlink'] : [],
      route.mtu === undefined ? [] : [`mtu ${route.mtu}`],
    ]
      .flat()
      .join(' ');
  };

  describe('routes', () => {
    beforeEach(async () => {
      for (const text of ['10.1.0.1/24', 'fd01::1/64']) await on.network.addresses.add(on.link, host(text));
    });

    test('of every kind are added, listed and removed', async () => {
      const common = { table: OWN_TABLE, protocol: PROTOCOL.static };
      const via = { ...common, link: on.link.index };
      await on.network.routes.add({ ...via, destination: net('0.0.0.0/0') });
      await on.network.routes.add({ ...via, destination: net('::/0') });
      await on.network.routes.add({
        ...via,
        destination: net('10.5.0.0/16'),
        gateway: ip('10.1.0.9'),
        metric: 7,
        mtu: 1300,
      });
      await on.network.routes.add({ ...common, destination: net('10.6.0.0/16'), gateway: ip('10.1.0.9') });
      await on.network.routes.add({
        ...via,
        destination: net('10.7.0.0/16'),
        gateway: ip('192.0.2.1'),
        flags: ROUTE_FLAG.onLink,
      });
      await on.network.routes.add({ ...via, destination: net('10.8.0.0/16'), preferredSource: ip('10.1.0.1') });
      await on.network.routes.add({ ...via, destination: net('fd05::/16'), gateway: ip('fd01::9') });
      for (const type of ['throw', 'blackhole', 'unreachable', 'prohibit'] as const)
        await on.network.routes.add({
          ...common,
          destination: net(`10.9.${ROUTE_TYPE[type]}.0/24`),
          type: ROUTE_TYPE[type],
        });
      await on.network.routes.add({ ...common, destination: net('fd09::/16'), type: ROUTE_TYPE.throw });
      expect(await routesOf(OWN_TABLE)).toEqual(
        [
          '0.0.0.0/0 link nl0 scope 253',
          '::/0 link nl0 metric 1024',
          '10.5.0.0/16 via 10.1.0.9 link nl0 metric 7 mtu 1300',
          '10.6.0.0/16 via 10.1.0.9 link nl0',
          '10.7.0.0/16 via 192.0.2.1 link nl0 onlink',
          '10.8.0.0/16 link nl0 scope 253 from 10.1.0.1',
          'blackhole 10.9.6.0/24',
          'fd05::/16 via fd01::9 link nl0 metric 1024',
          'prohibit 10.9.8.0/24',
          'throw 10.9.9.0/24',
          'throw fd09::/16 metric 1024',
          'unreachable 10.9.7.0/24',
        ].sort(),
      );
      const all = await on.network.routes.list({ table: OWN_TABLE });
      expect(new Set(all.map(({ protocol }) => protocol))).toEqual(new Set([PROTOCOL.static]));
      expect((await on.network.routes.list({ table: OWN_TABLE, family: 6 })).length).toBe(3);
      expect((await on.network.routes.list({ family: 4, link: on.link.index, table: OWN_TABLE })).length).toBe(5);
      for (const route of all) await on.network.routes.remove(route);
      expect(await routesOf(OWN_TABLE)).toEqual([]);
      expect(await on.network.routes.list({ table: 77777 })).toEqual([]);
    });

    test('are replaced, and removed by metric', async () => {
      const route = { destination: net('10.5.0.0/16'), table: OWN_TABLE, link: on.link.index };
      await on.network.routes.replace(route);
      await on.network.routes.replace({ ...route, gateway: ip('10.1.0.9') });
      await on.network.routes.add({ ...route, metric: 9 });
      expect(await routesOf(OWN_TABLE)).toEqual([
        '10.5.0.0/16 link nl0 scope 253 metric 9',
        '10.5.0.0/16 via 10.1.0.9 link nl0',
      ]);
      await on.network.routes.remove({ destination: route.destination, table: OWN_TABLE, metric: 9 });
      expect(await routesOf(OWN_TABLE)).toEqual(['10.5.0.0/16 via 10.1.0.9 link nl0']);
    });

    test('invalid ones are refused', async () => {
      const route = { destination: net('10.5.0.0/16'), link: on.link.index };
      await on.network.routes.add(route);
      expect(await rejection(on.network.routes.add(route))).toBe(
        `adding route 10.5.0.0/16 dev ifindex ${on.link.index}: EEXIST (File exists)`,
      );
      const lost = { destination: net('10.6.0.0/16'), gateway: ip('192.0.2.1') };
      expect(await rejection(on.network.routes.add(lost))).toBe(
        'adding route 10.6.0.0/16 via 192.0.2.1: ENETUNREACH (Network is unreachable): Nexthop has invalid gateway',
      );
      const throwing = { destination: net('10.6.0.0/16'), table: 99, type: ROUTE_TYPE.throw };
      expect(await rejection(on.network.routes.remove(throwing))).toMatch(
        /^removing route throw 10\.6\.0\.0\/16 table 99: ESRCH \(No such process\)/,
      );
      expect(await rejection(on.network.routes.remove({ destination: net('fd66::/16') }))).toMatch(
        /^removing route fd66::\/16: ESRCH/,
      );
      await on.network.links.change(on.link, { up: false });
      expect(await rejection(on.network.routes.add({ ...route, destination: net('10.7.0.0/16') }))).toMatch(
        /: ENETDOWN/,
      );
    });
  });

  describe('rules', () => {
    const own = async (family?: Family) =>
      (await on.network.rules.list(family))
        .filter(({ protocol }) => protocol !== PROTOCOL.kernel)
        .map(({ protocol: _, ...rule }) => rule);

    test.each([4, 6] as const)('IPv%d: those of a full tunnel are added, in order, and removed', async family => {
      await on.network.rules.add({ family, mark: MARK, invert: true, table: OWN_TABLE });
      await on.network.rules.add({ family, table: TABLE.main, suppressPrefixLength: 0 });
      const [first, second] = [
        { family, priority: 32764, action: 1, table: TABLE.main, suppressPrefixLength: 0 },
        { family, priority: 32765, action: 1, table: OWN_TABLE, mark: MARK, invert: true },
      ];
      expect(await own()).toEqual([first, second]);
      await on.network.rules.remove({ family, table: TABLE.main, suppressPrefixLength: 0 });
      expect(await own(family)).toEqual([second]);
      await on.network.rules.remove({ family, table: OWN_TABLE });
      expect(await own()).toEqual([]);
    });

    test('have a mask, prefixes and a priority; duplicates and removing a missing rule are refused', async () => {
      const rule = {
        family: 4,
        priority: 99,
        mark: 0x100,
        mask: 0xff00,
        source: net('10.0.0.0/8'),
        table: OWN_TABLE,
      } as const;
      await on.network.rules.add(rule);
      expect(await own()).toEqual([{ ...rule, action: 1 }]);
      expect(await rejection(on.network.rules.add(rule))).toBe(
        'adding rule IPv4 from 10.0.0.0/8 fwmark 256/65280 table 51820 priority 99: EEXIST (File exists)',
      );
      await on.network.rules.remove(rule);
      expect(await rejection(on.network.rules.remove(rule))).toMatch(/^removing rule IPv4 .* priority 99: ENOENT/);
    });
  });

  test('a route lookup follows rules, marks, throws and sources', async () => {
    await on.network.addresses.add(on.link, host('10.1.0.1/24'));
    const own = { table: OWN_TABLE, link: on.link.index };
    await on.network.routes.add({ ...own, destination: net('0.0.0.0/0'), mtu: 1333 });
    await on.network.routes.add({ destination: net('10.66.0.0/16'), table: OWN_TABLE, type: ROUTE_TYPE.throw });
    await on.network.rules.add({ family: 4, mark: MARK, invert: true, table: OWN_TABLE });
    await on.network.rules.add({ family: 4, table: TABLE.main, suppressPrefixLength: 0 });
    expect(await on.network.routes.lookup(ip('203.0.113.1'))).toMatchObject({
      mtu: 1333,
      table: OWN_TABLE,
      link: on.link.index,
      preferredSource: ip('10.1.0.1'),
      type: ROUTE_TYPE.unicast,
    });
    expect(await on.network.routes.lookup(ip('10.1.0.77'))).toMatchObject({ table: TABLE.main, link: on.link.index });
    expect(await on.network.routes.lookup(ip('10.1.0.1'))).toMatchObject({ type: ROUTE_TYPE.local });
    expect(await rejection(on.network.routes.lookup(ip('203.0.113.1'), { mark: MARK }))).toBe(
      `finding the route to 203.0.113.1 with mark ${MARK}: ENETUNREACH (Network is unreachable)`,
    );
    expect(await rejection(on.network.routes.lookup(ip('10.66.0.1')))).toMatch(/ENETUNREACH/);
    expect(await rejection(on.network.routes.lookup(ip('2001:db8::1')))).toMatch(/ENETUNREACH/);
  });

  test('500 routes, 1,000 addresses: concurrent requests and dumps list all of them', async () => {
    const addresses = Array.from({ length: 1000 }, (_, i) => host(`10.20.${i >> 8}.${i & 255}/32`));
    await Promise.all(addresses.map(address => on.network.addresses.add(on.link, address)));
    const routes = Array.from({ length: 500 }, (_, i) => net(`10.${100 + (i >> 8)}.${i & 255}.0/24`));
    await Promise.all(
      routes.map(destination => on.network.routes.add({ destination, table: OWN_TABLE, link: on.link.index })),
    );
    const [own, again, listed] = await Promise.all([
      on.network.addresses.list(on.link, 4),
      on.network.addresses.list(on.link, 4),
      on.network.routes.list({ table: OWN_TABLE }),
    ]);
    expect(own.length).toBe(1000);
    expect(again).toEqual(own);
    expect(listed.map(({ destination }) => formatPrefix(destination)).sort()).toEqual(routes.map(formatPrefix).sort());
  });
}
