/**
 * Rules and routes: the cases of Felix's own tests (docs/reference/calico-felix.md#unit-tests), on
 * our code.
 */
import { describe, expect, test } from 'vitest';
import { parsePrefix } from '../../../../src/base/prefix.ts';
import { ROUTE_TYPE } from '../../../../src/netlink/route.ts';
import { RULE_ACTION } from '../../../../src/netlink/rules.ts';
import { desired, peer, route, tunnel } from '../node.ts';
import { PODS, Scene, VARIANTS } from '../scene.ts';

describe.each(VARIANTS)('%s', (_, families) => {
  const scene = new Scene(families);

  describe('rules', () => {
    test('not from all fwmark M/M lookup T, once', async () => {
      await scene.apply(scene.wanted());
      expect(scene.rulesTo()).toEqual(
        families.map(family =>
          expect.objectContaining({ family, priority: 98, invert: true, mark: 0x100000, mask: 0x100000, table: 51820 }),
        ),
      );
    });

    test('a resync repairs deleted, modified, duplicate and foreign rules to the table; rules to other tables stay', async () => {
      await scene.apply(scene.wanted());
      const picture = scene.node.picture();
      const { rules } = scene.node.kernel.world;
      for (const family of families) {
        const right = {
          family,
          priority: 98,
          action: RULE_ACTION.table,
          invert: true,
          mark: 0x100000,
          mask: 0x100000,
          table: 51820,
        };
        const other = { family, priority: 97, mark: 5, table: 99 };
        await scene.node.meddle(network => network.rules.add(other));
        const wrongs = [
          [],
          [{ ...right, priority: 5 }],
          [{ ...right, mark: 0x200000 }],
          [{ ...right, source: parsePrefix(family === 4 ? '10.0.0.0/8' : 'fd00::/8')! }],
          [{ family, priority: 98, action: RULE_ACTION.table, mark: 0x100000, mask: 0x100000, table: 51820 }],
          [right, right],
          [{ ...right, priority: 1 }, right, { ...right, priority: 5000 }, right],
        ];
        for (const wrong of wrongs) {
          for (let at = rules.length - 1; at >= 0; at--)
            if (rules[at]!.table === 51820 && rules[at]!.family === family) rules.splice(at, 1);
          rules.push(...wrong);
          expect((await scene.apply(scene.wanted())).changes).toBe(0);
          await scene.apply(scene.wanted(), true);
          expect(scene.rulesTo().filter(rule => rule.family === family)).toEqual([expect.objectContaining(right)]);
          expect(scene.rulesTo(99).filter(rule => rule.family === family)).toHaveLength(1);
          expect((await scene.apply(scene.wanted(), true)).changes).toBe(0);
        }
        await scene.node.meddle(network => network.rules.remove(other));
      }
      expect({ ...scene.node.picture(), rules: [...(scene.node.picture()['rules'] as string[])].sort() }).toEqual({
        ...picture,
        rules: [...(picture['rules'] as string[])].sort(),
      });
    });

    test('the fallback of a tunnel route comes and goes with it, and matches when the link is gone', async () => {
      const open = desired(families, family => tunnel(family, [peer(family, 2), peer(family, 3)]));
      const closed = desired(families, family => {
        const whole = tunnel(family, [peer(family, 2), peer(family, 3)]);
        const routes = [...whole.routes].map(
          ([text, one]) => [text, one.kind === 'tunnel' ? { ...one, orElse: 'unreachable' as const } : one] as const,
        );
        return { ...whole, routes: new Map(routes) };
      });
      await scene.apply(open);
      const routes = families.map(family => scene.routesOf(family));
      await scene.apply(closed);
      for (const [i, family] of families.entries()) {
        const prefixes = routes[i]!.filter(each => each.endsWith(` ${ROUTE_TYPE.unicast}`)).map(
          each => each.split(' ')[0],
        );
        expect(prefixes).toHaveLength(2);
        const behind = prefixes.map(each => `${each} ${ROUTE_TYPE.unreachable}`);
        expect(scene.routesOf(family)).toEqual([...routes[i]!, ...behind].sort());
      }
      expect((await scene.apply(closed, true)).changes).toBe(0);
      const whole = families.map(family => scene.routesOf(family));
      // Another program removes the link.
      for (const family of families) {
        await scene.node.meddle(network => network.links.remove({ index: scene.index(family), name: '' }));
        const left = scene.routesOf(family);
        expect(left.filter(each => each.endsWith(` ${ROUTE_TYPE.unicast}`))).toEqual([]);
        expect(left.filter(each => each.endsWith(` ${ROUTE_TYPE.unreachable}`))).toHaveLength(2);
      }
      await scene.apply(closed, true);
      expect(families.map(family => scene.routesOf(family))).toEqual(whole);
      for (const full of [false, true]) {
        await scene.apply(closed);
        await scene.apply(open, full);
        expect(families.map(family => scene.routesOf(family))).toEqual(routes);
      }
      await scene.apply(closed);
      await scene.process.applier.withdraw();
      for (const family of families) expect(scene.routesOf(family)).toEqual([]);
    });

    test('the last address goes, and IPv4 routes with it: they are restored, and no other route matches in between', async () => {
      await scene.apply(scene.wanted());
      const routes = families.map(family => scene.routesOf(family));
      const bare = desired(families, family => {
        const { address: _, ...without } = tunnel(family, [peer(family, 2), peer(family, 3)]);
        return without;
      });
      for (const full of [false, true]) {
        await scene.apply(scene.wanted());
        await scene.apply(bare, full);
        expect(families.map(family => scene.routesOf(family))).toEqual(routes);
        if (!families.includes(4)) continue;
        const writes = scene.process.operations.filter(name => /(NEWROUTE|DELADDR)/.test(name));
        expect(writes.slice(0, 5)).toEqual([
          'RTM_NEWROUTE',
          'RTM_NEWROUTE',
          'RTM_DELADDR',
          'RTM_NEWROUTE',
          'RTM_NEWROUTE',
        ]);
        expect((await scene.apply(bare, true)).changes).toBe(0);
      }
    });

    test('another priority or mark: the new rule is added before the old one is removed', async () => {
      await scene.apply(scene.wanted());
      await scene.apply(scene.wanted({ rulePriority: 90 }));
      expect(scene.process.operations.filter(name => /RULE/.test(name)).slice(0, 3)).toEqual([
        'RTM_GETRULE',
        'RTM_NEWRULE',
        'RTM_DELRULE',
      ]);
      expect(scene.rulesTo().map(({ priority }) => priority)).toEqual(families.map(() => 90));
    });
  });

  describe('routes', () => {
    test('tunnel to throw to unreachable and back is replaced in place; foreign routes in the table go, others stay', async () => {
      const kinds = ['tunnel', 'throw', 'unreachable', 'tunnel'] as const;
      const types = { tunnel: 1, throw: 9, unreachable: 7 } as const;
      const withKind = (kind: (typeof kinds)[number]) =>
        desired(families, family => {
          const base = tunnel(family, [peer(family, 2)]);
          return { ...base, routes: new Map([...base.routes, [PODS[family], route(PODS[family], kind)]]) };
        });
      for (const full of [false, true])
        for (const kind of kinds) {
          await scene.apply(withKind(kind), full);
          for (const family of families) expect(scene.routesOf(family)).toContain(`${PODS[family]} ${types[kind]}`);
          expect(scene.process.operations).not.toContain('RTM_DELROUTE');
        }
      for (const family of families) {
        const [inside, outside] = family === 4 ? ['10.9.0.0/24', '10.8.0.0/24'] : ['fd09::/64', 'fd08::/64'];
        await scene.node.meddle(network =>
          network.routes.add({ destination: parsePrefix(inside)!, table: 51820, type: 9 }),
        );
        await scene.node.meddle(network =>
          network.routes.add({
            destination: parsePrefix(PODS[family])!,
            table: 51820,
            metric: 5,
            link: scene.index(family),
          }),
        );
        await scene.node.meddle(network =>
          network.routes.add({ destination: parsePrefix(outside)!, table: 77, type: 9 }),
        );
      }
      await scene.apply(withKind('throw'), true);
      for (const family of families) expect(scene.routesOf(family)).toHaveLength(2);
      expect(scene.node.kernel.world.routes.filter(({ table }) => table === 77)).toHaveLength(families.length);
      const before = desired(families, family => tunnel(family, []));
      await scene.apply(before);
      for (const family of families) expect(scene.routesOf(family)).toHaveLength(1);
    });

    test('many routes are one line of the log, and all of them are counted', async () => {
      await scene.apply(scene.wanted());
      const many = Array.from({ length: 50 }, (_, n) => `10.200.${n}.0/24`);
      const withMany = desired(families, family => {
        const base = tunnel(family, [peer(family, 2)]);
        const more = family === 4 ? many.map(text => [text, route(text, 'throw')] as const) : [];
        return { ...base, routes: new Map([...base.routes, ...more]) };
      });
      const linesOfRoutes = () => scene.process.said.filter(line => line.includes('10.200.'));
      const { changes } = await scene.apply(withMany);
      expect(linesOfRoutes()).toHaveLength(families.includes(4) ? 1 : 0);
      if (families.includes(4)) expect(changes).toBeGreaterThanOrEqual(50);
    });

    test('a resync restores routes that others removed or redirected', async () => {
      await scene.apply(scene.wanted());
      const picture = scene.node.picture();
      for (const family of families) {
        await scene.node.meddle(network =>
          network.routes.remove({ destination: parsePrefix(PODS[family])!, table: 51820 }),
        );
        await scene.apply(scene.wanted(), true);
        expect(scene.node.picture()).toEqual(picture);
        await scene.node.meddle(network =>
          network.routes.replace({ destination: parsePrefix(PODS[family])!, table: 51820, type: 6, protocol: 80 }),
        );
        await scene.apply(scene.wanted(), true);
        expect(scene.node.picture()).toEqual(picture);
      }
    });
  });
});
