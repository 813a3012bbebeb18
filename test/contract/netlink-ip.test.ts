/** Netlink reads agree with `ip -j` for any state; and an overflow of events is reported. */
import { execFileSync } from 'node:child_process';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { formatAddress } from '../../src/base/address.ts';
import type { Family } from '../../src/base/family.ts';
import { formatPrefix, type Prefix } from '../../src/base/prefix.ts';
import { nativeBinding } from '../../src/io/native-binding.ts';
import { nativeNetlink } from '../../src/io/netlink.ts';
import { SCOPE } from '../../src/netlink/addresses.ts';
import type { NetworkEvent } from '../../src/netlink/events.ts';
import { Network } from '../../src/netlink/network.ts';
import { ROUTE_FLAG, ROUTE_TYPE, TABLE } from '../../src/netlink/route.ts';
import { inOwnNamespace } from '../support/own-namespace.ts';
import { HANG_MS } from '../support/patience.ts';

type Json = Readonly<Record<string, unknown>>;

/** Runs ip with numbers for names, except those in the tables below. */
function ip(...args: string[]): readonly Json[] {
  const text = execFileSync('ip', ['-j', '-d', '-N', ...args], { encoding: 'utf8', maxBuffer: 1 << 26 });
  return text.trim() === '' ? [] : (JSON.parse(text) as Json[]);
}

function batch(lines: readonly string[]): void {
  execFileSync('ip', ['-batch', '-'], { input: `${lines.join('\n')}\n` });
}

const SCENE = [
  'link add a0 mtu 1400 type veth peer name b0',
  'link set a0 up alias "some words"',
  'link set b0 up',
  'link set lo up',
  'address add 10.1.0.1/24 dev a0',
  'address add 10.1.0.2/24 dev a0',
  'address add 10.2.0.1/32 dev a0',
  'address add 10.3.0.1 peer 10.3.0.2/32 dev a0',
  'address add fd01::1/64 dev a0 nodad',
  'address add fd02::1/128 dev b0 nodad',
  'route add default via 10.1.0.254 metric 50',
  'route add 10.9.0.0/16 dev a0 src 10.1.0.2 mtu 1280',
  'route add 10.10.0.0/16 via 192.0.2.1 dev a0 onlink table 51820',
  'route add 10.11.0.0/16 nexthop via 10.1.0.10 dev a0 weight 3 nexthop via 10.1.0.11 dev a0',
  'route add 10.12.0.0/16 via inet6 fd01::9 dev a0',
  'route add throw 10.13.0.0/16 table 51820',
  'route add blackhole 10.14.0.0/16',
  'route add unreachable fd13::/16 table 1000000',
  'route add unreachable fd15::/16 table 51820',
  'route add fd14::/16 via fd01::fe proto static',
  'rule add not fwmark 51820 table 51820',
  'rule add table main suppress_prefixlength 0',
  'rule add from 10.0.0.0/8 to 10.9.0.0/16 iif a0 fwmark 0x10/0xf0 priority 77 table 1000000',
];

/**
 * Waits for the link-local addresses of both links, and the end of their duplicate detection: until
 * then, the kernel adds addresses and routes by itself, which a later read has and an earlier one
 * lacks. They come when the kernel works on the carrier's change, which it does once a second for
 * all namespaces together.
 */
async function linkLocalsSettled(): Promise<void> {
  const settled = () =>
    ip('-6', 'address', 'show').filter(link =>
      (link['addr_info'] as Json[]).some(
        each => String(each['local']).startsWith('fe80:') && each['tentative'] === undefined,
      ),
    ).length;
  for (const end = Date.now() + HANG_MS; settled() < 2 && Date.now() < end; ) await sleep(20);
}

inOwnNamespace(import.meta.url, [], () => {
  let network: Network;
  beforeAll(async () => {
    batch(SCENE);
    execFileSync('ip', ['-6', 'rule', 'add', 'oif', 'b0', 'unreachable', 'priority', '78']);
    network = new Network(nativeNetlink(nativeBinding()));
    await linkLocalsSettled();
  });
  afterAll(() => network.close());

  test('links', async () => {
    const links = await network.links.list();
    const own = links.map(({ index, name, mtu, up, kind, alias, hardwareAddress }) => ({
      ...{ index, name, mtu, up, kind, alias },
      address: hardwareAddress && [...hardwareAddress].map(byte => byte.toString(16).padStart(2, '0')).join(':'),
    }));
    const theirs = ip('link', 'show').map(link => ({
      ...{ index: link['ifindex'], name: link['ifname'], mtu: link['mtu'], alias: link['ifalias'] },
      kind: (link['linkinfo'] as Json | undefined)?.['info_kind'],
      up: (link['flags'] as string[]).includes('UP'),
      address: link['address'],
    }));
    expect(own).toEqual(theirs);
    expect(own.length).toBe(3);
  });

  test('addresses', async () => {
    const links = new Map((await network.links.list()).map(({ index, name }) => [index, name]));
    const own = (await network.addresses.list()).map(({ index, address, prefixLength, peer, scope }) =>
      [links.get(index), formatAddress(address), prefixLength, peer && formatAddress(peer), scope].join(' '),
    );
    const theirs = ip('address', 'show').flatMap(link =>
      (link['addr_info'] as Json[]).map(each =>
        [link['ifname'], each['local'], each['prefixlen'], each['address'], scopeOf(each['scope'])].join(' '),
      ),
    );
    expect(own.sort()).toEqual(theirs.sort());
    expect(own.length).toBeGreaterThanOrEqual(8);
  });

  test.each([4, 6] as const)('IPv%d routes of every table, and of one', async family => {
    const own = async (table?: number) => {
      const links = new Map((await network.links.list()).map(({ index, name }) => [index, name]));
      const routes = await network.routes.list({ family, ...(table !== undefined && { table }) });
      return routes
        .map(route =>
          [
            Object.entries(ROUTE_TYPE).find(([, number]) => number === route.type)![0],
            text(route.destination, family),
            route.gateway && formatAddress(route.gateway),
            route.link && links.get(route.link),
            `table ${route.table} protocol ${route.protocol} metric ${route.metric ?? 0} scope ${family === 6 ? 0 : route.scope}`,
            route.preferredSource && formatAddress(route.preferredSource),
            route.flags & ROUTE_FLAG.onLink && 'onlink',
            route.mtu,
            route.hops?.map(hop => `${formatAddress(hop.gateway!)}*${hop.weight}`),
          ].join(' '),
        )
        .sort();
    };
    const theirs = (table: string) =>
      ip(`-${family}`, 'route', 'show', 'table', table)
        .map(route => {
          const via = route['via'] as Json | undefined;
          const metrics = (route['metrics'] as Json[] | undefined)?.[0];
          const hops = route['nexthops'] as Json[] | undefined;
          return [
            typeof route['type'] === 'string' ? (names[route['type']] ?? route['type']) : 'unicast',
            route['dst'],
            route['gateway'] ?? via?.['host'],
            route['dev'],
            `table ${tableOf(route['table'] ?? table)} protocol ${route['protocol']} metric ${route['metric'] ?? 0} scope ${family === 6 ? 0 : scopeOf(route['scope'])}`,
            route['prefsrc'],
            (route['flags'] as string[]).includes('onlink') ? 'onlink' : 0,
            metrics?.['mtu'],
            hops?.map(hop => `${hop['gateway']}*${hop['weight']}`),
          ].join(' ');
        })
        .sort();
    expect(await own()).toEqual(theirs('all'));
    expect((await own()).length).toBeGreaterThan(5);
    expect(await own(51820)).toEqual(theirs('51820'));
    expect(await own(1000000)).toEqual(family === 6 ? theirs('1000000') : []);
  });

  test.each([4, 6] as const)('IPv%d rules', async family => {
    const own = (await network.rules.list(family)).map(rule =>
      [
        ...[rule.priority, rule.invert ? 'not' : '', rule.source ? formatPrefix(rule.source) : 'all'],
        ...[
          rule.destination ? formatPrefix(rule.destination) : '',
          rule.mark,
          rule.mask,
          rule.inputName,
          rule.outputName,
        ],
        ...[rule.action === 1 ? rule.table : `action ${rule.action}`, rule.suppressPrefixLength],
      ].join(' '),
    );
    const prefix = (address: unknown, length: unknown) => (length === undefined ? address : `${address}/${length}`);
    const number = (value: unknown) => (value === undefined ? undefined : Number(value));
    const theirs = ip(`-${family}`, 'rule', 'show').map(rule =>
      [
        ...[rule['priority'], 'not' in rule ? 'not' : '', prefix(rule['src'], rule['srclen'])],
        ...[
          prefix(rule['dst'], rule['dstlen']),
          number(rule['fwmark']),
          number(rule['fwmask']),
          rule['iif'],
          rule['oif'],
        ],
        ...[rule['table'] ? tableOf(rule['table']) : 'action 7', rule['suppress_prefixlen']],
      ].join(' '),
    );
    expect(own).toEqual(theirs);
    expect(own.length).toBe(family === 4 ? 6 : 3);
  });

  test('a route whose link has no carrier can be removed and added again as listed', async () => {
    batch(['link set b0 down', 'route add 10.77.0.0/16 dev a0 table 78']);
    try {
      const [route] = await network.routes.list({ table: 78 });
      expect(route!.flags & ROUTE_FLAG.linkDown).not.toBe(0);
      await network.routes.remove(route!);
      await network.routes.add(route!);
      await network.routes.replace(route!);
      expect(await network.routes.list({ table: 78 })).toEqual([route]);
    } finally {
      batch(['link set b0 up']);
    }
  });

  test('500 routes and 1,000 addresses created by ip', async () => {
    const numbers = Array.from({ length: 1000 }, (_, i) => `${i >> 8}.${i & 255}`);
    batch(numbers.map(number => `address add 10.20.${number}/32 dev b0`));
    batch(
      numbers
        .slice(0, 500)
        .map(
          number => `route add 10.${Number(number.split('.')[0]) + 50}.${number.split('.')[1]}.0/24 dev a0 table 77`,
        ),
    );
    const link = (await network.links.find('b0'))!;
    const addresses = (await network.addresses.list(link, 4)).map(({ address }) => formatAddress(address));
    expect(addresses).toEqual(numbers.map(number => `10.20.${number}`));
    const routes = await network.routes.list({ table: 77 });
    expect(routes.map(({ destination }) => formatPrefix(destination)).sort()).toEqual(
      ip('route', 'show', 'table', '77')
        .map(route => route['dst'])
        .sort(),
    );
    expect(routes.length).toBe(500);
  });

  describe('events', () => {
    test('that were not read in time are reported as lost; later ones are delivered', async () => {
      const events: NetworkEvent[] = [];
      const watch = network.watch(['route'], event => {
        // A full read now, plus the later events, misses nothing.
        if (event.of === 'resync' && events.every(({ of }) => of !== 'resync'))
          batch(['route add 10.99.99.99/32 dev a0 table 99']);
        events.push(event);
      });
      // Events are not read while this runs.
      const lines = Array.from(
        { length: 20_000 },
        (_, i) => `route add 10.100.${i >> 8}.${i & 255}/32 dev b0 table 99`,
      );
      batch(lines);
      await expect.poll(() => events.some(event => event.of === 'resync')).toBe(true);
      const told = () =>
        events.some(event => event.of === 'route' && formatPrefix(event.route.destination) === '10.99.99.99/32');
      await expect.poll(told).toBe(true);
      watch.close();
    });
  });
});

/** Types as -N writes them. */
const names: Readonly<Record<string, string>> = Object.fromEntries(
  Object.entries(ROUTE_TYPE).map(([name, number]) => [String(number), name]),
);

function text({ address, length }: Prefix, family: Family): string {
  if (length === 0) return 'default';
  return length === (family === 4 ? 32 : 128) ? formatAddress(address) : `${formatAddress(address)}/${length}`;
}

function scopeOf(name: unknown): number {
  if (name === undefined || name === 'global') return SCOPE.universe;
  return (SCOPE as Readonly<Record<string, number>>)[String(name)] ?? Number(name);
}

function tableOf(name: unknown): number {
  return (TABLE as Readonly<Record<string, number>>)[String(name)] ?? Number(name);
}
