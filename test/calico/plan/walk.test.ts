/**
 * A planner that continues from its last plan, against one that begins anew: both make the same
 * plan, whatever changes between plans. And a change costs as much in a large cluster as in a small
 * one, counted in nodes that are planned.
 */
import { describe, expect, test } from 'vitest';
import { VersionedMap } from '../../../src/base/versioned-map.ts';
import type {
  Cluster,
  ClusterNode,
  FelixConfiguration,
  IpamBlock,
  IpPool,
  Pod,
} from '../../../src/calico/model/cluster.ts';
import type { PlanOptions } from '../../../src/calico/plan/config/options.ts';
import type { Plan, PlanInput } from '../../../src/calico/plan/input.ts';
import { Planner, plan } from '../../../src/calico/plan/planner.ts';
import { address, block, configuration, input, key, keyBytes, node, pod, pool } from '../../support/calico-cluster.ts';
import { enabled } from '../../support/calico-families.ts';
import { type Random, withSeed } from '../../support/random.ts';

const NAMES = ['a', 'b', 'c', 'd', 'me', 'z'];

/** Returns the plan with its maps as sorted lists. */
function plain({ desired, peers, problems, wantsPods }: Plan): unknown {
  const tunnels = Object.entries(desired.tunnels).map(([family, tunnel]) => ({
    ...tunnel,
    family,
    peers: [...tunnel.peers].sort(([a], [b]) => (a < b ? -1 : 1)),
    routes: [...tunnel.routes].sort(([a], [b]) => (a < b ? -1 : 1)),
  }));
  return { tunnels, peers, problems, wantsPods };
}

/** @param apart whether no node's own address lies in a block */
function randomNode(name: string, random: Random, apart: boolean): ClusterNode {
  const n = random.below(8);
  const maybe = <T>(value: T): T | undefined => (random.chance(0.8) ? value : undefined);
  const made = node(name, {
    bgp: maybe({
      4: random.pick([`172.16.0.${n}`, apart ? `172.16.1.${n}` : `10.0.${n}.1`, '127.0.0.1']),
      6: `fd00::${n + 1}`,
    }),
    internal: random.chance(0.3) ? [`172.16.0.${random.below(8)}`] : [],
    key: maybe(random.chance(0.05) ? { 4: 'no key' } : { 4: key(n), ...(random.chance(0.7) && { 6: key(n + 100) }) }),
    wireguard: maybe({ 4: `10.0.${random.below(8)}.${random.below(3)}`, 6: `fd10:0:0:${n}::1` }),
    labels: { zone: random.pick(['x', 'y']) },
    podCidrs: random.chance(0.5) ? [`10.9.${n}.0/24`] : [],
  });
  return random.chance(0.15) ? { ...made, isControlPlane: true } : made;
}

function randomBlock(n: number, random: Random): IpamBlock {
  const cidr = random.chance(0.2) ? `fd10:0:0:${n}::/122` : `10.0.${n}.0/${random.pick([24, 26, 32])}`;
  const owner = random.chance(0.9) ? random.pick([...NAMES, 'load-balancer', 'gone']) : undefined;
  const lent = random.chance(0.4) ? [`10.0.${random.below(8)}.${random.below(3)} ${random.pick(NAMES)}`] : [];
  return block(cidr, owner, ...lent);
}

interface World {
  nodes: ReadonlyMap<string, ClusterNode>;
  ipamBlocks: ReadonlyMap<string, IpamBlock>;
  pods: ReadonlyMap<string, Pod>;
  felixConfigurations: ReadonlyMap<string, FelixConfiguration>;
  ipPools: ReadonlyMap<string, IpPool>;
}

const POOLS = [pool('10.0.0.0/8', 26), pool('fd00::/8', 122)];
/** Pools that take others' place: narrower, and with blocks of another size. */
const OTHER_POOLS = [pool('10.0.0.0/14', 26), pool('10.0.4.0/22', 24), pool('fd10::/16', 122)];
const allPools = () => new VersionedMap(new Map(POOLS.map(each => [each.name, each])));

/** Returns what a plan depends on beside the cluster's objects. */
function randomRest(random: Random): Pick<PlanInput, 'apiServers' | 'keyOwners' | 'formerPools'> {
  const servers = [address('172.16.0.9'), address('10.0.3.1')];
  const owners = new Map(Array.from({ length: 3 }, () => [key(random.below(8)), random.pick(NAMES)] as const));
  return {
    ...(random.chance(0.5) && { apiServers: [random.pick(servers)] }),
    ...(random.chance(0.5) && { keyOwners: { 4: owners } }),
    ...(random.chance(0.3) && { formerPools: [random.pick(OTHER_POOLS)] }),
  };
}

/** Returns a map with one more change, as a version of the same map or as another one. */
function changed<V>(map: ReadonlyMap<string, V>, name: string, value: V | undefined, random: Random) {
  if (map instanceof VersionedMap && random.chance(0.9)) return (map as VersionedMap<string, V>).with([[name, value]]);
  const copy = new Map(map);
  copy.delete(name);
  if (value !== undefined) copy.set(name, value);
  return random.chance(0.5) ? new VersionedMap(copy) : copy;
}

function step(world: World, random: Random, apart: boolean): void {
  const gone = random.chance(0.2);
  const name = random.pick(NAMES);
  switch (random.below(11)) {
    case 0:
    case 1:
    case 2:
    case 3:
      world.nodes = changed(world.nodes, name, gone ? undefined : randomNode(name, random, apart), random);
      break;
    case 4:
    case 5:
    case 6: {
      const one = randomBlock(random.below(8), random);
      world.ipamBlocks = changed(world.ipamBlocks, one.name, gone ? undefined : one, random);
      break;
    }
    case 7: {
      const one = pod('p', name, `10.0.${random.below(8)}.${random.below(3)}`);
      world.pods = changed(world.pods, `p${random.below(4)}`, gone ? undefined : one, random);
      break;
    }
    case 8: {
      const one = random.pick([...POOLS, ...OTHER_POOLS]);
      world.ipPools = changed(world.ipPools, one.name, gone ? undefined : one, random);
      break;
    }
    default: {
      const off = configuration(`node.${name}`, { WireguardEnabled: random.chance(0.5) });
      const scoped = configuration('zone', { WireguardEnabled: false }, { nodeSelector: "zone == 'x'" });
      const all = enabled([4, 6], {
        WireguardHostEncryptionEnabled: random.chance(0.4),
        WireguardPersistentKeepAlive: random.below(3),
        RouteSource: random.pick(['CalicoIPAM', 'CalicoIPAM', 'WorkloadIPs']),
      });
      const one = random.pick([off, scoped, all, all]);
      world.felixConfigurations = changed(
        world.felixConfigurations,
        one.name,
        gone && one !== all ? undefined : one,
        random,
      );
    }
  }
}

test.each<[string, Partial<PlanOptions>, boolean?]>([
  ['as Felix', {}],
  ['fail-closed', { failClosed: true }],
  ['fail-closed, with nodes outside of all blocks', { failClosed: true }, true],
  ['with options that change', { usePodCidr: true }],
])('random walks, %s', (_, fixed, apart = false) => {
  withSeed(random => {
    for (let walk = 0; walk < 40; walk++) {
      const planner = new Planner();
      const world: World = {
        nodes: new VersionedMap(),
        ipamBlocks: new VersionedMap(),
        pods: new VersionedMap(),
        felixConfigurations: new VersionedMap(new Map([['default', enabled([4, 6])]])),
        ipPools: allPools(),
      };
      let rest = randomRest(random);
      let options: Partial<PlanOptions> = { ...fixed };
      for (let i = 0; i < 80; i++) {
        for (let steps = 1 + random.below(3); steps > 0; steps--) step(world, random, apart);
        if (fixed.usePodCidr && random.chance(0.1))
          options = { usePodCidr: random.chance(0.5), failClosed: random.chance(0.5) };
        if (random.chance(0.1)) rest = randomRest(random);
        const cluster: Cluster = { ...world };
        const ownPublicKey = random.chance(0.1) ? { 4: keyBytes(random.below(8)) } : {};
        const nodeName = random.chance(0.03) ? 'a' : 'me';
        const one = input(cluster, { ...rest, options, ownPublicKey, nodeName });
        expect(plain(planner.plan(one))).toEqual(plain(plan(one)));
      }
    }
  });
});

describe('what a change costs', () => {
  const large = (nodes: number): World => {
    const all = Array.from({ length: nodes }, (_, n) =>
      node(n === 0 ? 'me' : `n${n}`, {
        bgp: { 4: `172.16.${n >> 8}.${n & 255}` },
        key: { 4: key(n) },
        wireguard: { 4: `10.${n >> 8}.${n & 255}.1` },
      }),
    );
    const blocks = all.map(({ name }, n) => block(`10.${n >> 8}.${n & 255}.0/26`, name));
    return {
      nodes: new VersionedMap(new Map(all.map(each => [each.name, each]))),
      ipamBlocks: new VersionedMap(new Map(blocks.map(each => [each.name, each]))),
      pods: new VersionedMap(),
      felixConfigurations: new VersionedMap(new Map([['default', enabled([4])]])),
      ipPools: allPools(),
    };
  };
  const at = (n: number, keyNumber: number | undefined): ClusterNode =>
    node(`n${n}`, {
      bgp: { 4: `172.16.${n >> 8}.${n & 255}` },
      wireguard: { 4: `10.${n >> 8}.${n & 255}.1` },
      ...(keyNumber !== undefined && { key: { 4: key(keyNumber) } }),
    });

  test.each<[string, (world: World) => Partial<World>, number]>([
    ['nothing', () => ({}), 0],
    ['a key', ({ nodes }) => ({ nodes: with_(nodes, 'n5', at(5, 9999)) }), 1],
    ['no key', ({ nodes }) => ({ nodes: with_(nodes, 'n5', at(5, undefined)) }), 1],
    ['the key of another node', ({ nodes }) => ({ nodes: with_(nodes, 'n5', at(5, 6)) }), 2],
    ['a node less', ({ nodes }) => ({ nodes: with_(nodes, 'n5', undefined) }), 1],
    [
      'a borrowed address',
      ({ ipamBlocks }) => ({ ipamBlocks: with_(ipamBlocks, '10-0-5-0-26', block('10.0.5.0/26', 'n5', '10.0.5.9 n7')) }),
      2,
    ],
    [
      'a block of another node',
      ({ ipamBlocks }) => ({ ipamBlocks: with_(ipamBlocks, '10-0-5-0-26', block('10.0.5.0/26', 'n7')) }),
      2,
    ],
  ])('%s: as many nodes are planned among 2,000 as among 20', (_, change, planned) => {
    for (const size of [20, 2000]) {
      const planner = new Planner();
      const world = large(size);
      const inputOf = (each: World) => input({ ...each });
      planner.plan(inputOf(world));
      expect(planner.plannedNodes).toBe(size);
      planner.plan(inputOf({ ...world, ...change(world) }));
      expect(planner.plannedNodes).toBe(planned);
    }
  });

  function with_<V>(map: ReadonlyMap<string, V>, name: string, value: V | undefined): ReadonlyMap<string, V> {
    return (map as VersionedMap<string, V>).with([[name, value]]);
  }
});
