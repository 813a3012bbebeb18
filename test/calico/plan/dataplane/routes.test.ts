/**
 * The exact route table of the tunnel, in each family and in both
 * (docs/reference/calico-felix.md#prefix-owners, #routes, #unit-tests).
 */
import { describe, expect, test } from 'vitest';
import type { Family } from '../../../../src/base/family.ts';
import { block, cluster, peersOf, planOf, pod, reasonsOf, routesOf } from '../../../support/calico-cluster.ts';
import {
  alone,
  assigned,
  blockOf,
  blocksOf,
  enabled,
  hostOf,
  inBlock,
  MODES,
  member,
  PORT,
  per,
} from '../../../support/calico-families.ts';

describe.each(MODES)('$mode: routes', ({ families }) => {
  const on = enabled(families);
  const me = member(families, 'me', 1);
  const a = member(families, 'a', 2);
  const b = member(families, 'b', 3);
  const keyless = member(families, 'keyless', 4, { key: {} });
  const check = (result: ReturnType<typeof planOf>, expected: (family: Family) => readonly string[]) => {
    for (const family of families) expect(routesOf(result.desired, family)).toEqual(expected(family).toSorted());
  };

  test('local blocks are throw routes', () => {
    check(planOf(cluster(on, me, ...blocksOf(families, 1, 'me'))), family => [`${blockOf(family, 1)} throw`]);
  });

  test('a local single address has a throw route only if no local block covers it', () => {
    const local = member(families, 'me', 1, {
      wireguard: per(families, family => inBlock(family, 1, 5)),
      vxlan: per(families, family => inBlock(family, 9, 5)),
    });
    const borrowed = families.map(family => block(blockOf(family, 2), 'a', `${inBlock(family, 2, 7)} me`));
    const tunnels = assigned(families, 'me 5');
    check(planOf(cluster(on, local, a, ...blocksOf(families, 1, 'me'), ...borrowed, ...tunnels)), family => [
      `${blockOf(family, 1)} throw`,
      `${alone(family, inBlock(family, 9, 5))} throw`,
      `${blockOf(family, 2)} tunnel`,
      `${alone(family, inBlock(family, 2, 7))} throw`,
    ]);
  });

  test('a local pod has a throw route only outside of the local blocks', () => {
    const pods = [
      pod('in', 'me', ...families.map(family => inBlock(family, 1, 5))),
      pod('out', 'me', ...families.map(family => inBlock(family, 2, 5))),
      pod('elsewhere', 'a', ...families.map(family => inBlock(family, 9, 5))),
    ];
    check(
      planOf(cluster(on, me, a, ...pods, ...blocksOf(families, 1, 'me'), ...blocksOf(families, 2, 'a'))),
      family => [
        `${blockOf(family, 1)} throw`,
        `${blockOf(family, 2)} tunnel`,
        `${alone(family, inBlock(family, 2, 5))} throw`,
      ],
    );
  });

  test('peers are routed into the tunnel, other nodes are throw routes', () => {
    const all = [...blocksOf(families, 2, 'a'), ...blocksOf(families, 4, 'keyless')];
    check(planOf(cluster(on, me, a, keyless, ...all)), family => [
      `${blockOf(family, 2)} tunnel`,
      `${blockOf(family, 4)} throw`,
    ]);
    check(planOf(cluster(on, me, a, member(families, 'keyless', 4), ...all)), family => [
      `${blockOf(family, 2)} tunnel`,
      `${blockOf(family, 4)} tunnel`,
    ]);
  });

  test("a borrowed address within another node's block is routed to the borrower", () => {
    const lent = families.map(family =>
      block(blockOf(family, 2), 'a', `${inBlock(family, 2, 7)} b`, `${inBlock(family, 2, 8)} keyless`),
    );
    check(planOf(cluster(on, me, a, b, keyless, ...lent)), family => [
      `${blockOf(family, 2)} tunnel`,
      `${alone(family, inBlock(family, 2, 7))} tunnel`,
      `${alone(family, inBlock(family, 2, 8))} throw`,
    ]);
  });

  test("an address in its node's own block has no separate route", () => {
    const own = families.map(family => block(blockOf(family, 2), 'a', `${inBlock(family, 2, 7)} a`));
    check(planOf(cluster(on, me, a, ...own)), family => [`${blockOf(family, 2)} tunnel`]);
  });

  test('in a block without an owner, each address is routed to its holder', () => {
    const unowned = families.map(family => block(blockOf(family, 9), undefined, `${inBlock(family, 9, 7)} a`));
    check(planOf(cluster(on, me, a, ...unowned)), family => [`${alone(family, inBlock(family, 9, 7))} tunnel`]);
  });

  test.each([
    ['me', 'a'],
    ['a', 'me'],
    ['a', 'b'],
    ['keyless', 'a'],
  ])('an address that moved from %s to %s is routed to its new node', (from, to) => {
    const at = (name: string) =>
      families.map(family => block(blockOf(family, 9), undefined, `${inBlock(family, 9, 7)} ${name}`));
    const kinds: Readonly<Record<string, string>> = { me: 'throw', keyless: 'throw', a: 'tunnel', b: 'tunnel' };
    for (const name of [from, to])
      check(planOf(cluster(on, me, a, b, keyless, ...at(name))), family => [
        `${alone(family, inBlock(family, 9, 7))} ${kinds[name]}`,
      ]);
  });

  test('a prefix that two nodes claim goes to the first by name, and a Problem reports it', () => {
    const twice = (name: string) => pod(`of-${name}`, name, ...families.map(family => inBlock(family, 9, 1)));
    const fromPods = enabled(families, { RouteSource: 'WorkloadIPs' });
    const result = planOf(cluster(fromPods, me, a, b, twice('b'), twice('a')));
    for (const family of families) {
      expect(peersOf(result.desired, family)['a']).toContain(alone(family, inBlock(family, 9, 1)));
      expect(peersOf(result.desired, family)['b']).not.toContain('/');
    }
    expect(reasonsOf(result)).toEqual(families.map(() => 'Node/a ConflictingPrefix'));
    expect(result.problems[0]!.message).toContain('"b"');
  });

  test("a tunnel's address in another node's block is the node's only if the block says so", () => {
    const tunnel = member(families, 'b', 3, { wireguard: per(families, family => inBlock(family, 2, 7)) });
    for (const holder of ['a', 'b']) {
      const lent = families.map(family => block(blockOf(family, 2), 'a', `${inBlock(family, 2, 7)} ${holder}`));
      const result = planOf(cluster(on, me, a, tunnel, ...lent));
      for (const family of families) {
        const own = holder === 'b' ? alone(family, inBlock(family, 2, 7)) : '';
        expect(peersOf(result.desired, family)['b']).toBe(`${hostOf(family, 3)} ${PORT[family]} ${own}`.trim());
      }
      expect(reasonsOf(result)).toEqual(holder === 'b' ? [] : families.map(() => 'Node/b UnassignedTunnelAddress'));
    }
  });

  test("a host's own address never becomes a pod's", () => {
    const lent = families.map(family => block(blockOf(family, 9), undefined, `${hostOf(family, 3)} a`));
    check(planOf(cluster(on, me, a, b, ...lent)), () => []);
  });

  test('hosts may share an address that is not routed', () => {
    const public1 = { external: families.map(family => hostOf(family, 99)) };
    const nodes = [member(families, 'a', 2, public1), member(families, 'b', 3, public1)];
    expect(planOf(cluster(on, me, ...nodes)).problems).toEqual([]);
    const hosts = planOf(cluster(enabled(families, { WireguardHostEncryptionEnabled: true }), me, ...nodes));
    expect(reasonsOf(hosts)).toEqual(families.map(() => 'Node/a ConflictingPrefix'));
  });

  test('with host encryption other hosts have tunnel or throw routes, and this host has none', () => {
    const result = planOf(cluster(enabled(families, { WireguardHostEncryptionEnabled: true }), me, a, keyless));
    check(result, family => [
      `${alone(family, hostOf(family, 2))} tunnel`,
      `${alone(family, hostOf(family, 4))} throw`,
    ]);
  });

  test('prefixes of deleted nodes and of load balancers are throw routes', () => {
    const result = planOf(cluster(on, me, ...blocksOf(families, 5, 'gone'), ...blocksOf(families, 6, 'load-balancer')));
    check(result, family => [`${blockOf(family, 5)} throw`, `${blockOf(family, 6)} throw`]);
    for (const family of families) expect(result.peers[family]).toEqual([]);
  });

  test('with WorkloadIPs every pod has a route, and blocks have none', () => {
    const felixConfiguration = enabled(families, { RouteSource: 'WorkloadIPs' });
    const pods = [
      pod('mine', 'me', ...families.map(family => inBlock(family, 7, 1))),
      pod('theirs', 'a', ...families.map(family => inBlock(family, 7, 2))),
      pod('plain', 'keyless', ...families.map(family => inBlock(family, 7, 3))),
    ];
    const result = planOf(cluster(felixConfiguration, me, a, keyless, ...pods, ...blocksOf(families, 2, 'a')));
    check(result, family => [
      `${alone(family, inBlock(family, 7, 1))} throw`,
      `${alone(family, inBlock(family, 7, 2))} tunnel`,
      `${alone(family, inBlock(family, 7, 3))} throw`,
    ]);
    expect(result.wantsPods).toBe(true);
    expect(planOf(cluster(on, me)).wantsPods).toBe(false);
  });

  test('with host-local IPAM podCIDRs replace blocks', () => {
    const withCidr = (name: string, number: number) =>
      member(families, name, number, { podCidrs: families.map(family => blockOf(family, number)) });
    const nodes = [withCidr('me', 1), withCidr('a', 2)];
    const result = planOf(cluster(on, ...nodes, ...blocksOf(families, 9, 'a')), { options: { usePodCidr: true } });
    const first = families[0] === 4;
    check(result, family => [
      `${blockOf(family, 1)} throw`,
      `${blockOf(family, 2)} tunnel`,
      // WireGuard's and IPIP's address: the second of the first podCIDR.
      ...(family === 4 && first ? [`${alone(4, inBlock(4, 2, 1))} tunnel`] : []),
    ]);
    check(planOf(cluster(on, ...nodes)), () => []);
  });

  test('the default prefix and the unspecified address are not routed', () => {
    const all = families.map(family => block(family === 4 ? '0.0.0.0/0' : '::/0', 'a'));
    const zero = member(families, 'b', 3, { wireguard: per(families, family => (family === 4 ? '0.0.0.0' : '::')) });
    check(planOf(cluster(on, me, a, zero, ...all)), () => []);
  });
});

test('families do not mix: an IPv6 block yields no IPv4 route', () => {
  const result = planOf(cluster(enabled([4]), member([4], 'me', 1), member([4], 'a', 2), ...blocksOf([4, 6], 2, 'a')));
  expect(routesOf(result.desired, 4)).toEqual(['10.0.2.0/26 tunnel']);
  expect(result.desired.tunnels[6]).toBeUndefined();
});
