/**
 * What a Node says of itself counts only within its own part of IPAM or its podCIDRs; and no
 * node gets the address of the API server.
 */
import { describe, expect, test } from 'vitest';
import { covers } from '../../../../src/base/prefix.ts';
import type { ClusterNode } from '../../../../src/calico/model/cluster.ts';
import {
  address,
  block,
  type ClusterObject,
  cluster,
  node,
  peersOf,
  planOf,
  pod,
  pool,
  prefix,
  reasonsOf,
  routesOf,
  tunnelOf,
} from '../../../support/calico-cluster.ts';
import {
  alone,
  assigned,
  blockOf,
  blocksOf,
  enabled,
  hostOf,
  inBlock,
  keyOf,
  MODES,
  member,
  PORT,
  per,
} from '../../../support/calico-families.ts';

const at = (made: ClusterNode, day: number): ClusterNode => ({
  ...made,
  creationTimestamp: `2026-01-0${day}T00:00:00Z`,
});

describe.each(MODES)('$mode', ({ families }) => {
  const me = member(families, 'me', 1);
  const a = member(families, 'a', 2);
  const liar = (more: object = {}) => member(families, 'liar', 3, more);
  const settings = [{}, { WireguardHostEncryptionEnabled: true }];
  const plan = (parameters: object, objects: readonly ClusterObject[], more: Parameters<typeof planOf>[1] = {}) =>
    planOf(cluster(enabled(families, { ...parameters }), me, ...objects), more);

  test.each(settings)('an annotation that claims a pod of another node changes nothing (%j)', parameters => {
    const honest = plan(parameters, [a, liar(), ...blocksOf(families, 2, 'a')]);
    const pods = per(families, family => inBlock(family, 2, 9));
    const [four, six] = [pods[4], pods[6]];
    const lies: readonly [object, string][] = [
      [{ wireguard: pods }, 'UnassignedTunnelAddress'],
      [{ vxlan: pods }, 'UnassignedTunnelAddress'],
      [{ external: [four, six].filter(text => text !== undefined) }, 'AddressOfOtherNode'],
    ];
    for (const [lie, reason] of lies) {
      const result = plan(parameters, [a, liar(lie), ...blocksOf(families, 2, 'a')]);
      expect(result.desired).toEqual(honest.desired);
      expect(result.peers).toEqual(honest.peers);
      expect(reasonsOf(result)).toEqual(families.map(() => `Node/liar ${reason}`));
      for (const { message, settling } of result.problems) {
        expect(message).toContain('of node "a"');
        expect(settling).toBe(true);
      }
    }
  });

  test("a lent address is the borrower's, whatever its block's owner and others say", () => {
    const lent = families.map(family => block(blockOf(family, 2), 'a', `${inBlock(family, 2, 9)} b`));
    const b = member(families, 'b', 4);
    const honest = plan({}, [a, b, liar(), ...lent]);
    const claims = { wireguard: per(families, family => inBlock(family, 2, 9)) };
    expect(plan({}, [a, b, liar(claims), ...lent]).desired).toEqual(honest.desired);
    for (const family of families)
      expect(routesOf(honest.desired, family)).toContain(`${alone(family, inBlock(family, 2, 9))} tunnel`);
  });

  test('a tunnel address counts once a block assigns it, in either order of updates', () => {
    const tunnel = member(families, 'a', 2, { wireguard: per(families, family => inBlock(family, 9, 5)) });
    const before = plan({}, [tunnel]);
    expect(reasonsOf(before)).toEqual(families.map(() => 'Node/a UnassignedTunnelAddress'));
    for (const family of families) expect(routesOf(before.desired, family)).toEqual([]);
    for (const given of [assigned(families, 'a 5'), blocksOf(families, 9, 'a')]) {
      const after = plan({}, [tunnel, ...given]);
      expect(after.problems).toEqual([]);
      for (const family of families)
        expect(peersOf(after.desired, family)['a']).toContain(alone(family, inBlock(family, 9, 5)));
    }
  });

  test('WorkloadIPs: a Node cannot take the address of a pod of another node, unless it is younger', () => {
    const theirs = {
      ...pod('p', 'a', ...families.map(family => inBlock(family, 2, 9))),
      creationTimestamp: '2026-01-05T00:00:00Z',
    };
    const lie = { external: families.map(family => inBlock(family, 2, 9)) };
    for (const parameters of settings) {
      const of = (other: ClusterNode) => plan({ RouteSource: 'WorkloadIPs', ...parameters }, [a, other, theirs]);
      const honest = of(liar());
      for (const older of [liar(lie), at(liar(lie), 1)]) {
        expect(of(older).desired).toEqual(honest.desired);
        expect(reasonsOf(of(older))).toContain('Node/liar AddressOfOtherNode');
      }
      // The address of a pod that is gone, which a cloud gave to a new node.
      for (const family of families)
        expect(peersOf(of(at(liar(lie), 9)).desired, family)['a']!.includes(inBlock(family, 2, 9))).toBe(
          'WireguardHostEncryptionEnabled' in parameters,
        );
    }
  });
});

test('a Node with hundreds of lies is few Problems, so that those of others are seen', () => {
  const external = Array.from({ length: 200 }, (_, i) => `10.0.2.${i}`);
  const liars = ['liar-1', 'liar-2'].map((name, i) => member([4], name, 3 + i, { external }));
  const result = planOf(cluster(enabled([4]), member([4], 'me', 1), block('10.0.2.0/24', 'a'), ...liars));
  for (const name of ['liar-1', 'liar-2']) {
    const own = result.problems.filter(({ object }) => object === `Node/${name}`);
    expect(own).toHaveLength(9);
    expect(own[8]).toMatchObject({ reason: 'AddressOfOtherNode', message: 'and 192 more like those above' });
  }
});

describe('the API server', () => {
  const server = '10.0.2.9';
  const apiServers = [address(server), address('fd10:0:0:2::9')];
  const me = member([4], 'me', 1);
  const a = member([4], 'a', 2);
  const reachable = (result: ReturnType<typeof planOf>): boolean => {
    const taken = routesOf(result.desired, 4).filter(each => !each.endsWith('throw'));
    const { firewall, peers } = tunnelOf(result.desired, 4);
    const allowed = [...peers.values()].flatMap(({ allowedIps }) => allowedIps);
    const all = [...taken.map(each => prefix(each.split(' ')[0]!)), ...firewall.sealed, ...allowed];
    return !all.some(each => covers(each, prefix(`${server}/32`)));
  };

  test.each([false, true])('is never reached through another node (fail-closed: %s)', failClosed => {
    const lies: readonly ClusterObject[][] = [
      [member([4], 'a', 2, { wireguard: { 4: server } }), block('10.0.9.0/26', undefined, '10.0.9.1 a')],
      [a, block('10.0.2.0/24', undefined, `${server} a`)],
      [a, block(`${server}/32`, 'a')],
      [member([4], 'a', 2, { external: [server] })],
    ];
    for (const objects of lies)
      for (const hosts of [false, true]) {
        const on = enabled([4], { WireguardHostEncryptionEnabled: hosts });
        const result = planOf(cluster(on, me, ...objects), { apiServers, options: { failClosed } });
        expect(reachable(result)).toBe(true);
      }
  });

  test('a pod at its address, and a Node with its address under host encryption, are refused and named', () => {
    const pods = planOf(cluster(enabled([4], { RouteSource: 'WorkloadIPs' }), me, a, pod('p', 'a', server)), {
      apiServers,
    });
    const host = member([4], 'a', 2, { external: [server] });
    const hosts = planOf(cluster(enabled([4], { WireguardHostEncryptionEnabled: true }), me, host), { apiServers });
    for (const result of [pods, hosts]) {
      expect(reasonsOf(result)).toEqual(['Node/a ApiServerAddress']);
      expect(result.problems[0]!.message).toMatch(/^10\.0\.2\.9\/32, which .* is the address of the API server/);
      expect(reachable(result)).toBe(true);
    }
    // Without host encryption, the address of a node is not routed anyway.
    expect(planOf(cluster(enabled([4]), me, host), { apiServers }).problems).toEqual([]);
  });

  test('a block around it keeps its other addresses', () => {
    const result = planOf(cluster(enabled([4]), me, a, block('10.0.2.8/30', 'a')), { apiServers });
    expect(peersOf(result.desired, 4)).toEqual({ a: '172.16.0.2 51820 10.0.2.10/31 10.0.2.8/32' });
    expect(reasonsOf(result)).toEqual(['Node/a ApiServerAddress']);
  });

  test("the control plane's own node is reached as its address says, and no other node gets its addresses", () => {
    const control = { ...member([4], 'a', 2), isControlPlane: true };
    const on = enabled([4], { WireguardHostEncryptionEnabled: true, RouteSource: 'WorkloadIPs' });
    const thief = [member([4], 'b', 3), pod('p', 'b', hostOf(4, 2))];
    const result = planOf(cluster(on, me, control, ...thief), { apiServers: [address(hostOf(4, 2))] });
    const without = planOf(cluster(on, me, control, ...thief));
    for (const each of [result, without]) {
      expect(peersOf(each.desired, 4)['a']).toBe(`${hostOf(4, 2)} ${PORT[4]} ${hostOf(4, 2)}/32`);
      expect(peersOf(each.desired, 4)['b']).toBe(`${hostOf(4, 3)} ${PORT[4]} ${hostOf(4, 3)}/32`);
      expect(reasonsOf(each)).toEqual(['Node/b ApiServerAddress']);
    }
  });

  test('our own tunnel cannot have its address', () => {
    const mine = member([4], 'me', 1, { wireguard: { 4: server } });
    const result = planOf(cluster(enabled([4]), mine, block('10.0.2.0/26', 'me')), { apiServers });
    expect(tunnelOf(result.desired, 4).address).toBeUndefined();
    expect(reasonsOf(result)).toEqual(['Node/me UnusableTunnelAddress']);
  });
});

describe('host-local IPAM', () => {
  const options = { usePodCidr: true };
  const on = enabled([4]);
  const me = at(member([4], 'me', 1, { podCidrs: ['10.9.1.0/24'] }), 1);
  const a = at(member([4], 'a', 2, { podCidrs: ['10.9.2.0/24'] }), 2);
  const none = [pool('192.168.0.0/16', 26)];
  const plan = (...objects: readonly ClusterObject[]) => planOf(cluster(on, me, ...objects), { options });

  test('podCIDRs and the tunnel addresses within are believed, inside and outside of pools', () => {
    for (const pools of [[], none]) {
      const result = plan(a, ...pools);
      expect(peersOf(result.desired, 4)).toEqual({ a: '172.16.0.2 51820 10.9.2.0/24 10.9.2.1/32' });
      expect(result.problems).toEqual([]);
    }
  });

  test.each(['10.9.2.0/24', '10.9.2.0/28', '10.9.0.0/16'])('%s, which overlaps an older podCIDR, is refused', cidr => {
    const result = plan(a, at(member([4], '0-liar', 3, { podCidrs: [cidr] }), 3));
    expect(peersOf(result.desired, 4)['a']).toBe('172.16.0.2 51820 10.9.2.0/24 10.9.2.1/32');
    expect(peersOf(result.desired, 4)['0-liar']).toBe('172.16.0.3 51820');
    expect(reasonsOf(result)).toContain('Node/0-liar UnbelievedPodCIDR');
  });

  test.each(['172.16.0.0/16', '64.0.0.0/8'])('%s outside every pool is refused', cidr => {
    const result = plan(a, ...none, at(member([4], 'liar', 3, { podCidrs: [cidr] }), 3));
    expect(peersOf(result.desired, 4)['liar']).toBe('172.16.0.3 51820');
    expect(reasonsOf(result)).toContain('Node/liar UnbelievedPodCIDR');
  });

  test("an address of an older node in a podCIDR within a pool is the podCIDR's, outside it is the node's", () => {
    const thief = at(member([4], 'old', 3, { external: ['10.9.2.7'] }), 1);
    const inside = plan(a, thief);
    expect(peersOf(inside.desired, 4)['a']).toContain('10.9.2.0/24');
    expect(reasonsOf(inside)).toEqual(['Node/old AddressOfOtherNode']);
    // Nothing but the podCIDR itself says that these addresses are pods'.
    const outside = plan(a, thief, ...none);
    expect(peersOf(outside.desired, 4)['a']).toBe('172.16.0.2 51820');
    const younger = plan(a, at(thief, 4), ...none);
    expect(peersOf(younger.desired, 4)['a']).toContain('10.9.2.0/24');
  });

  test("a tunnel address outside its node's podCIDR is refused", () => {
    const result = plan(a, at(member([4], 'liar', 3, { podCidrs: ['10.9.3.0/24'], vxlan: { 4: '10.9.2.5' } }), 3));
    expect(peersOf(result.desired, 4)['liar']).toBe('172.16.0.3 51820 10.9.3.0/24 10.9.3.1/32');
    expect(reasonsOf(result)).toEqual(['Node/liar UnassignedTunnelAddress']);
    const bare = plan(node('b', { bgp: { 4: '172.16.0.9' }, key: { 4: keyOf(4, 9) }, wireguard: { 4: '8.8.8.8' } }));
    expect(reasonsOf(bare)).toEqual(['Node/b UnassignedTunnelAddress']);
  });
});
