/** A caching planner yields the same plans as a new one, through thousands of random changes. */
import { describe, expect, test } from 'vitest';
import type {
  Cluster,
  ClusterNode,
  FelixConfiguration,
  IpamBlock,
  IpPool,
  Pod,
} from '../../../src/calico/model/cluster.ts';
import { DEFAULT_OPTIONS, type PlanOptions } from '../../../src/calico/plan/config/options.ts';
import type { PlanInput } from '../../../src/calico/plan/input.ts';
import { Planner, plan } from '../../../src/calico/plan/planner.ts';
import {
  address,
  block,
  type ClusterObject,
  cluster,
  configuration,
  input,
  key,
  keyBytes,
  node,
  pod,
  pool,
} from '../../support/calico-cluster.ts';
import { enabled, member } from '../../support/calico-families.ts';
import { type Random, testSeed, withSeed } from '../../support/random.ts';

/** Fewer for the mutation tests. */
const CHANGES = Number(process.env['PLAN_CHANGES'] ?? 2000);
const NAMES = ['me', 'a', 'b', 'c', 'd', 'e', 'gone', 'load-balancer'];

interface World {
  readonly nodes: Map<string, ClusterNode>;
  readonly blocks: Map<string, IpamBlock>;
  readonly pods: Map<string, Pod>;
  readonly configurations: Map<string, FelixConfiguration>;
  options: PlanOptions;
  pools: readonly IpPool[];
  apiServers: readonly Uint8Array[];
  keyOwners: PlanInput['keyOwners'];
}

/** Ranges that contain all blocks, some of them, or blocks of another size. */
const POOLS: readonly (readonly IpPool[])[] = [
  [pool('10.0.0.0/8', 24), pool('fd00::/64', 126)],
  [pool('10.0.0.0/8', 30), pool('fd00::/64', 122)],
  [pool('10.0.0.0/23', 24)],
];

/** Draws from few addresses so that conflicts occur. */
const v4 = (random: Random) => `10.0.${random.below(4)}.${random.below(4)}`;
const v6 = (random: Random) => `fd00::${random.below(4)}:${random.below(4)}`;

function randomNode(random: Random, name: string): ClusterNode {
  const some = <T>(value: T, chance = 0.8) => (random.chance(chance) ? value : undefined);
  const both = <T>(four: T, six: T) => ({
    ...(random.chance(0.8) && { 4: four }),
    ...(random.chance(0.8) && { 6: six }),
  });
  const ipip = some(v4(random), 0.3);
  const made = node(name, {
    bgp: both(`172.16.0.${random.below(20)}`, `fd99::${random.below(20)}`),
    key: random.chance(0.1) ? { 4: 'bad' } : both(key(random.below(12)), key(random.below(12))),
    wireguard: both(v4(random), v6(random)),
    ...(ipip !== undefined && { ipip }),
    external: random.chance(0.3) ? [v4(random), v6(random)] : [],
    podCidrs: random.chance(0.5) ? [`10.0.${random.below(4)}.0/24`, `fd00::${random.below(4)}:0/112`] : [],
    labels: random.chance(0.5) ? { rack: random.pick(['one', 'two']) } : {},
  });
  return { ...made, creationTimestamp: `2026-01-0${1 + random.below(9)}T00:00:00Z` };
}

function randomBlock(random: Random): IpamBlock {
  const cidr = random.pick([
    `10.0.${random.below(4)}.0/30`,
    `10.0.${random.below(4)}.0/24`,
    `fd00::${random.below(4)}:0/126`,
  ]);
  const inside = () => (cidr.startsWith('10') ? v4(random) : v6(random));
  const lent = Array.from({ length: random.below(3) }, () => `${inside()} ${random.pick(NAMES)}`);
  return block(cidr, random.chance(0.9) ? random.pick(NAMES) : undefined, ...lent);
}

function randomConfiguration(random: Random): FelixConfiguration {
  const name = random.pick(['default', 'default', 'node.me', 'node.a', 'node.b', 's1', 's2']);
  const values = {
    WireguardEnabled: random.chance(0.9),
    WireguardEnabledV6: random.chance(0.9),
    ...(random.chance(0.2) && { WireguardHostEncryptionEnabled: true }),
    ...(random.chance(0.2) && { WireguardKeepAlive: random.below(30) }),
    ...(random.chance(0.2) && { WireguardListeningPort: 50_000 + random.below(3) }),
    ...(random.chance(0.1) && { RouteSource: 'WorkloadIPs' }),
    ...(random.chance(0.1) && { WireguardMTU: 'much' }),
  };
  const selector = random.pick(["rack == 'one'", 'all()', 'rack =']);
  return configuration(name, values, name.startsWith('s') ? { nodeSelector: selector } : {});
}

function change(random: Random, world: World): void {
  switch (random.below(12)) {
    case 0:
      world.nodes.delete(random.pick(NAMES.slice(1)));
      break;
    case 1:
    case 2:
    case 3: {
      const name = random.pick(NAMES.slice(0, 6));
      world.nodes.set(name, randomNode(random, name));
      break;
    }
    case 4:
    case 5: {
      const result = randomBlock(random);
      world.blocks.set(result.name, result);
      break;
    }
    case 6: {
      const name = random.pick([...world.blocks.keys(), 'none']);
      world.blocks.delete(name);
      break;
    }
    case 7: {
      const name = `p${random.below(6)}`;
      if (random.chance(0.3)) world.pods.delete(`default/${name}`);
      else {
        const made = pod(name, random.pick(NAMES), v4(random), v6(random));
        world.pods.set(`default/${name}`, { ...made, creationTimestamp: '2026-01-05T00:00:00Z' });
      }
      break;
    }
    case 8: {
      const result = randomConfiguration(random);
      if (result.name !== 'default' && random.chance(0.4)) world.configurations.delete(result.name);
      else world.configurations.set(result.name, result);
      break;
    }
    case 9:
      world.pools = random.pick(POOLS);
      world.apiServers = random.chance(0.5) ? [address(v4(random)), address(v6(random))] : [];
      break;
    case 10: {
      const owners = new Map([[key(random.below(12)), random.pick(NAMES)]]);
      world.keyOwners = { 4: owners, 6: owners };
      break;
    }
    default:
      world.options = {
        ...DEFAULT_OPTIONS,
        failClosed: random.chance(0.5),
        usePodCidr: random.chance(0.2),
        enableHere: random.chance(0.8) ? 'always' : 'as-felix',
      };
  }
}

/** Returns the map in random order. */
function snapshot(random: Random, { nodes, blocks, pods, configurations, pools }: World): Cluster {
  const turn = <V>(map: ReadonlyMap<string, V>) => new Map(random.chance(0.3) ? [...map].toReversed() : map);
  return {
    nodes: turn(nodes),
    ipamBlocks: turn(blocks),
    pods: turn(pods),
    felixConfigurations: turn(configurations),
    ipPools: turn(new Map(pools.map(each => [each.name, each]))),
  };
}

test(`${CHANGES} random changes`, () => {
  const seed = testSeed();
  console.log(`planner: TEST_SEED=${seed}`);
  withSeed(random => {
    const world: World = {
      nodes: new Map(NAMES.slice(0, 6).map(name => [name, randomNode(random, name)])),
      blocks: new Map(),
      pods: new Map(),
      configurations: new Map([['default', enabled([4, 6])]]),
      options: DEFAULT_OPTIONS,
      pools: POOLS[0]!,
      apiServers: [],
      keyOwners: {},
    };
    const planner = new Planner();
    const seen = { tunnels: 0, tunnel: 0, throw: 0, unreachable: 0, peers: 0, problems: new Set<string>() };
    for (let i = 0; i < CHANGES; i++) {
      change(random, world);
      const planInput: PlanInput = input(snapshot(random, world), {
        options: world.options,
        ownPublicKey: { 4: keyBytes(1), 6: keyBytes(2) },
        apiServers: world.apiServers,
        keyOwners: world.keyOwners ?? {},
      });
      const result = planner.plan(planInput);
      const { parameters: _, ...fresh } = plan(planInput);
      const { parameters: __, ...remembered } = result;
      expect(serial(remembered), `change ${i}`).toBe(serial(fresh));
      for (const tunnel of Object.values(result.desired.tunnels)) {
        seen.tunnels++;
        seen.peers += tunnel.peers.size;
        for (const { kind } of tunnel.routes.values()) seen[kind]++;
      }
      for (const { reason } of result.problems) seen.problems.add(reason);
    }
    // Make sure that the walk reached all kinds of problems; otherwise it proves nothing.
    expect(Math.min(seen.tunnels, seen.tunnel, seen.throw, seen.unreachable, seen.peers)).toBeGreaterThan(CHANGES / 4);
    if (CHANGES < 2000) return;
    for (const reason of [
      'DuplicatePublicKey',
      'InvalidPublicKey',
      'MissingNodeAddress',
      'ConflictingPrefix',
      'InvalidParameter',
      'BlockOutsidePools',
      'BlockInOtherBlock',
      'UnassignedTunnelAddress',
      'AddressOfOtherNode',
      'UnbelievedPodCIDR',
      'ApiServerAddress',
    ])
      expect([...seen.problems]).toContain(reason);
  }, seed);
});

/** The text of a plan, including the order of its parts. */
function serial(value: unknown): string {
  return JSON.stringify(value, (_, each) => (each instanceof Map ? [...each] : each));
}

describe('the cache of a planner', () => {
  const me = member([4], 'me', 1);
  const a = member([4], 'a', 2);

  test('returns the same peer and routes for an unchanged node', () => {
    const planner = new Planner();
    const shared = block('10.0.2.0/26', 'a');
    const first = planner.plan(input(cluster(enabled([4]), me, a, shared)));
    const second = planner.plan(input(cluster(enabled([4]), me, a, shared, member([4], 'b', 3))));
    const parts = ({ desired }: typeof first) => {
      const { peers, routes } = desired.tunnels[4]!;
      return [[...peers.values()][0], routes.get('10.0.2.0/26')];
    };
    expect(parts(second)[0]).toBe(parts(first)[0]);
    expect(parts(second)[1]).toBe(parts(first)[1]);
  });

  test('never changes an earlier plan', () => {
    const planner = new Planner();
    const first = planner.plan(input(cluster(enabled([4]), me, a, block('10.0.2.0/26', 'a'))));
    const before = serial(first.desired);
    planner.plan(input(cluster(enabled([4]), me, member([4], 'a', 9), block('10.0.2.0/26', 'me'))));
    expect(serial(first.desired)).toBe(before);
  });

  test('does not apply to a node that comes back changed', () => {
    const planner = new Planner();
    const of = (...objects: readonly ClusterObject[]) => input(cluster(enabled([4]), me, ...objects));
    planner.plan(of(a, block('10.0.2.0/26', 'a')));
    planner.plan(of());
    const back = of(member([4], 'a', 7), block('10.0.2.0/26', 'a', '10.0.2.1 b'));
    expect(serial(planner.plan(back).desired)).toBe(serial(plan(back).desired));
  });
});
