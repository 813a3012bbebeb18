/**
 * Routes, rules and addresses in the real kernel, where it is less simple than the fake: replacing,
 * and what a removal matches.
 */
import { execFileSync } from 'node:child_process';
import { beforeAll, expect, test } from 'vitest';
import { parseAddress } from '../../../src/base/address.ts';
import type { Family } from '../../../src/base/family.ts';
import { formatPrefix } from '../../../src/base/prefix.ts';
import { ensureAddress } from '../../../src/calico/apply/device/address.ts';
import type { ApplyContext, ApplyHost } from '../../../src/calico/apply/ports.ts';
import { blockRoutes, emptyTable, ensureRoutes } from '../../../src/calico/apply/routing/routes.ts';
import { ensureRule, removeRules } from '../../../src/calico/apply/routing/rule.ts';
import type { DesiredRoute } from '../../../src/calico/model/desired.ts';
import { nativeBinding } from '../../../src/io/native-binding.ts';
import { nativeNetlink } from '../../../src/io/netlink.ts';
import type { Link } from '../../../src/netlink/links.ts';
import { Network } from '../../../src/netlink/network.ts';
import { inOwnNamespace } from '../../support/own-namespace.ts';
import { route, tunnel } from './node.ts';

inOwnNamespace(import.meta.url, [], () => {
  const network = new Network(nativeNetlink(nativeBinding()));
  const ip = (...args: string[]): string => execFileSync('ip', args, { encoding: 'utf8' });
  let link: Link;
  let changes: string[] = [];
  const unshielded = async (): Promise<void> => {};
  const contextOf = (family: Family): ApplyContext => ({
    host: { network } as unknown as ApplyHost,
    family,
    recordChange: text => void changes.push(text),
  });

  beforeAll(async () => {
    ip('link', 'set', 'lo', 'up');
    for (const name of ['wg', 'other']) {
      ip('link', 'add', name, 'type', 'veth', 'peer', 'name', `${name}-far`);
      for (const end of [name, `${name}-far`]) ip('link', 'set', end, 'up');
    }
    link = (await network.links.find('wg'))!;
    ip('addr', 'add', '192.0.2.1/24', 'dev', 'other');
    ip('addr', 'add', '2001:db8::1/64', 'dev', 'other', 'nodad');
  });

  test.each([4, 6] as const)(
    'IPv%s routes of each kind replace each other in place, and other routes in the table are removed',
    async family => {
      const context = contextOf(family);
      const to = family === 4 ? '10.42.2.0/26' : 'fd42:0:0:2::/122';
      const show = () =>
        ip(`-${family}`, 'route', 'show', 'table', '51820').replace(/ +$/gm, '').trim().split('\n').sort();
      const kinds: readonly DesiredRoute['kind'][] = [
        'tunnel',
        'throw',
        'unreachable',
        'tunnel',
        'unreachable',
        'throw',
        'tunnel',
      ];
      for (const kind of kinds) {
        changes = [];
        const wanted = { ...tunnel(family, []), routes: new Map([[to, route(to, kind)]]) };
        await ensureRoutes(context, link.index, wanted);
        expect(changes).toHaveLength(1);
        expect(show()).toEqual([
          expect.stringMatching(
            kind === 'tunnel'
              ? `^${to} dev wg proto 80`
              : `^(${kind === 'throw' ? 'throw' : 'unreachable'}) ${to} .*proto 80`,
          ),
        ]);
        await ensureRoutes(context, link.index, wanted);
        expect(changes).toHaveLength(1);
        const wrongs = [
          ['add', 'blackhole', to, 'metric', '7'],
          ['replace', 'blackhole', to],
          ['replace', to, 'dev', 'other', 'proto', '80'],
          ['append', to, 'via', family === 4 ? '192.0.2.9' : '2001:db8::9', 'dev', 'other', 'proto', '80'],
          ['add', family === 4 ? '10.9.0.0/16' : 'fd09::/16', 'via', family === 4 ? '192.0.2.9' : '2001:db8::9'],
        ];
        for (const wrong of wrongs) {
          ip(`-${family}`, 'route', ...wrong, 'table', '51820');
          await ensureRoutes(context, link.index, wanted);
          expect(show(), wrong.join(' ')).toEqual([
            expect.stringMatching(kind === 'tunnel' ? `^${to} dev wg proto 80` : `^${kind} ${to} .*proto 80`),
          ]);
        }
      }
      await emptyTable(context, 51820);
      expect(
        (await network.routes.list({ family, table: 51820 })).map(({ destination }) => formatPrefix(destination)),
      ).toEqual([]);
    },
  );

  test.each([4, 6] as const)('IPv%s rules: only the right one remains, whatever existed', async family => {
    const context = contextOf(family);
    const wanted = tunnel(family, []);
    const right = ['not', 'fwmark', '0x100000/0x100000', 'lookup', '51820', 'pref', '98'];
    const wrongs = [
      [],
      [right],
      // The kernel takes the rule without `not` for the same one and reports EEXIST.
      [['fwmark', '0x100000/0x100000', 'lookup', '51820', 'pref', '98']],
      [
        ['not', 'fwmark', '0x100000/0x100000', 'lookup', '51820', 'pref', '5'],
        ['lookup', '51820', 'pref', '98'],
      ],
      [
        ['from', family === 4 ? '10.0.0.0/8' : 'fd00::/8', 'lookup', '51820', 'pref', '98'],
        right,
        ['iif', 'lo', 'lookup', '51820', 'pref', '98'],
      ],
    ];
    for (const wrong of wrongs) {
      await removeRules(context, 51820);
      for (const rule of wrong) ip(`-${family}`, 'rule', 'add', ...rule);
      await ensureRule(context, wanted);
      expect(ip(`-${family}`, 'rule', 'show', 'table', '51820').replace(/ +$/gm, ''), JSON.stringify(wrong)).toBe(
        '98:\tnot from all fwmark 0x100000/0x100000 lookup 51820\n',
      );
      changes = [];
      await ensureRule(context, wanted);
      expect(changes).toEqual([]);
    }
    await removeRules(context, 51820);
    expect(ip(`-${family}`, 'rule', 'show', 'table', '51820')).toBe('');
  });

  test.each([4, 6] as const)('IPv%s addresses: only the right one and link-local ones remain', async family => {
    const context = contextOf(family);
    const [own, other] = family === 4 ? ['10.42.0.1', '10.7.7.7'] : ['fd42::1', 'fd07::7'];
    const bits = family === 4 ? 32 : 128;
    const show = () =>
      [...ip('-o', `-${family}`, 'addr', 'show', 'dev', 'wg', 'scope', 'global').matchAll(/inet6? (\S+)/g)].map(
        ([, text]) => text,
      );
    ip('addr', 'add', `${other}/24`, 'dev', 'wg');
    ip('addr', 'add', `${own}/24`, 'dev', 'wg');
    await ensureAddress(context, link, { ...tunnel(family, []), address: parseAddress(own)! }, unshielded);
    expect(show()).toEqual([`${own}/${bits}`]);
    changes = [];
    await ensureAddress(context, link, { ...tunnel(family, []), address: parseAddress(own)! }, unshielded);
    expect(changes).toEqual([]);
    if (family === 6) expect(ip('-6', 'addr', 'show', 'dev', 'wg')).toContain('fe80::');
    await ensureAddress(context, link, { ...tunnel(family, []), address: parseAddress(other)! }, unshielded);
    expect(show()).toEqual([`${other}/${bits}`]);
  });

  test.each([4, 6] as const)('IPv%s: the fallback of a route matches only when its link is gone', async family => {
    ip('link', 'add', 'short', 'type', 'veth', 'peer', 'name', 'short-far');
    for (const end of ['short', 'short-far']) ip('link', 'set', end, 'up');
    const short = (await network.links.find('short'))!;
    const to = family === 4 ? '10.42.2.0/26' : 'fd42:0:0:2::/122';
    const inside = family === 4 ? '10.42.2.1' : 'fd42:0:0:2::1';
    if (family === 4) ip('addr', 'add', '198.51.100.1/32', 'dev', 'short');
    const context = contextOf(family);
    const routes = new Map([[to, { ...route(to, 'tunnel'), orElse: 'unreachable' as const }]]);
    const wanted = { ...tunnel(family, []), routes };
    await ensureRoutes(context, short.index, wanted);
    changes = [];
    await ensureRoutes(context, short.index, wanted);
    expect(changes).toEqual([]);
    ip(`-${family}`, 'rule', 'add', 'pref', '98', 'lookup', '51820');
    try {
      expect(ip('route', 'get', inside)).toContain('dev short');
      ip('link', 'del', 'short');
      expect(() => execFileSync('ip', ['route', 'get', inside], { stdio: 'pipe' })).toThrow(
        /No route to host|unreachable/,
      );
    } finally {
      ip(`-${family}`, 'rule', 'del', 'pref', '98');
    }
    await emptyTable(context, 51820);
    expect(await network.routes.list({ family, table: 51820 })).toEqual([]);
  });

  test("the last IPv4 address takes its link's routes in every table with it: they are blocked before and restored after", async () => {
    const context = contextOf(4);
    const to = '10.42.2.0/26';
    const wanted = { ...tunnel(4, []), routes: new Map([[to, route(to, 'tunnel')]]) };
    const show = () => ip('route', 'show', 'table', '51820').trim();
    await ensureAddress(context, link, wanted, unshielded);
    await ensureRoutes(context, link.index, wanted);
    const { address: _, ...bare } = wanted;
    let shielded = '';
    const wasBare = await ensureAddress(context, link, bare, async () => {
      await blockRoutes(context, link.index, bare);
      shielded = show();
    });
    expect(wasBare).toBe(true);
    expect(shielded).toMatch(/^unreachable 10\.42\.2\.0\/26/);
    expect(show()).toBe(shielded);
    await ensureRoutes(context, link.index, bare);
    expect(show()).toMatch(/^10\.42\.2\.0\/26 dev wg/);
    await emptyTable(context, 51820);
  });
});
