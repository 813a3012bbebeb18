/**
 * Compares the owner of each prefix with Felix's calculation graph
 * (felix/calc/l3_route_resolver.go, wireguard_mgr.go), reimplemented as briefly as possible, in
 * thousands of random plans. Cases that once differed have a test each.
 */
import { describe, expect, test } from 'vitest';
import { covers, formatPrefix } from '../../../src/base/prefix.ts';
import type { ClusterNode, IpamBlock, Pod } from '../../../src/calico/model/cluster.ts';
import type { Plan } from '../../../src/calico/plan/input.ts';
import { block, cluster, configuration, key, node, planOf, pod, tunnelOf } from '../../support/calico-cluster.ts';
import { type Random, withSeed } from '../../support/random.ts';

const NAMES = ['a', 'b', 'me', 'z'];

interface World {
  readonly nodes: readonly ClusterNode[];
  readonly blocks: readonly IpamBlock[];
  readonly pods: readonly Pod[];
}

const text = (address: Uint8Array): string => `${address.join('.')}/32`;
const first = (names: readonly string[] | undefined): string | undefined => names && [...names].sort()[0];

/** The block of an address: blocks do not overlap. */
function blockOf({ blocks }: World, address: Uint8Array): IpamBlock | undefined {
  return blocks.find(({ cidr }) => covers(cidr, { address, length: 32 }));
}

/** Deliberate difference: a Node's word counts only within its own part of IPAM. */
function believed(world: World, name: string, address: Uint8Array, what: 'tunnel' | 'host'): boolean {
  const found = blockOf(world, address);
  const holder = found?.allocations.find(each => each.address.join() === address.join())?.node;
  if (what === 'tunnel') return found !== undefined && (found.owner === name || holder === name);
  return name === 'me' || [undefined, name].includes(holder ?? found?.owner);
}

/** Returns, by IPv4 prefix, the node that Felix routes it to, with our deliberate differences. */
function felix(world: World, encryptsHosts: boolean, fromPods: boolean): Map<string, string> {
  const { nodes, blocks, pods } = world;
  const [hosts, refs] = [new Map<string, string[]>(), new Map<string, string[]>()];
  const ipam = new Map<string, string>();
  const put = (into: Map<string, string[]>, prefix: string, name: string): void => {
    if (prefix !== '0.0.0.0/32') into.set(prefix, [...(into.get(prefix) ?? []), name]);
  };
  // An address of the node itself is no tunnel's, except on this node.
  const isRef = (name: string, address: Uint8Array, own: readonly Uint8Array[]): boolean =>
    own.some(host => text(host) === text(address)) ? name === 'me' : believed(world, name, address, 'tunnel');
  for (const each of nodes) {
    const own = [...(each.bgpAddress[4] ? [each.bgpAddress[4]] : []), ...each.addresses.map(({ address }) => address)];
    for (const address of own) if (believed(world, each.name, address, 'host')) put(hosts, text(address), each.name);
    if (own.length === 0) continue;
    for (const address of [each.wireguardAddress[4], each.ipipAddress[4], each.vxlanAddress[4]])
      if (address && isRef(each.name, address, own)) put(refs, text(address), each.name);
  }
  for (const { cidr, owner, allocations } of fromPods ? [] : blocks) {
    for (const each of allocations) if (each.node !== owner) ipam.set(text(each.address), each.node);
    if (owner !== undefined) ipam.set(formatPrefix(cidr), owner);
  }
  for (const { addresses, node: on } of pods)
    if (fromPods || on === 'me') for (const address of addresses) put(refs, text(address), on);
  const routes = new Map<string, string>();
  for (const prefix of new Set([...hosts.keys(), ...refs.keys(), ...ipam.keys()])) {
    const ref = first(refs.get(prefix));
    // Deliberate difference: a Node cannot take the address of another node's pod.
    const host = first(hosts.get(prefix)?.filter(name => ref === undefined || name === ref || name === 'me'));
    const isMine = hosts.get(prefix)?.includes('me') ?? false;
    const to = ref ?? host ?? ipam.get(prefix)!;
    // Deliberate difference: another node cannot claim our address for a pod or tunnel.
    if (isMine && refs.has(prefix) && to !== 'me') continue;
    if (host !== undefined && host !== 'me') {
      if (encryptsHosts) routes.set(prefix, to);
    } else if (refs.has(prefix) || ipam.has(prefix)) routes.set(prefix, to);
  }
  return routes;
}

/** Our plan in the same form. Local prefixes within a local block need no route. */
function ours({ desired }: Plan): { readonly tunnels: readonly string[]; readonly throws: readonly string[] } {
  const { peers, routes } = tunnelOf(desired, 4);
  const tunnels = [...peers.values()].flatMap(({ node: name, allowedIps }) =>
    allowedIps.map(prefix => `${formatPrefix(prefix)} ${name}`),
  );
  const throws = [...routes].flatMap(([prefix, { kind }]) => (kind === 'throw' ? [prefix] : []));
  const led = [...routes].flatMap(([prefix, { kind }]) => (kind === 'tunnel' ? [prefix] : []));
  expect(led.sort()).toEqual(tunnels.map(each => each.split(' ')[0]).sort());
  return { tunnels: tunnels.sort(), throws: throws.sort() };
}

function theirs(world: World, routes: ReadonlyMap<string, string>): ReturnType<typeof ours> {
  const isPeer = (name: string): boolean =>
    world.nodes.some(each => each.name === name && (each.bgpAddress[4] !== undefined || each.addresses.length > 0));
  const own = [...routes].flatMap(([prefix, name]) => (name === 'me' && !prefix.endsWith('/32') ? [prefix] : []));
  const isCovered = (prefix: string): boolean =>
    prefix.endsWith('/32') && own.some(each => each.startsWith(prefix.slice(0, prefix.lastIndexOf('.') + 1)));
  const [tunnels, throws]: [string[], string[]] = [[], []];
  for (const [prefix, name] of routes)
    if (name === 'me') {
      if (!isCovered(prefix)) throws.push(prefix);
    } else if (isPeer(name)) tunnels.push(`${prefix} ${name}`);
    else throws.push(prefix);
  return { tunnels: tunnels.sort(), throws: throws.sort() };
}

function compare(world: World): void {
  for (const fromPods of [false, true])
    for (const hosts of [false, true]) {
      const on = configuration('default', {
        WireguardEnabled: true,
        WireguardHostEncryptionEnabled: hosts,
        RouteSource: fromPods ? 'WorkloadIPs' : 'CalicoIPAM',
      });
      const result = planOf(cluster(on, ...world.nodes, ...world.blocks, ...world.pods));
      expect(ours(result), JSON.stringify({ fromPods, hosts })).toEqual(theirs(world, felix(world, hosts, fromPods)));
    }
}

/** Draws from few addresses so that conflicts occur; none is rejected as an endpoint. */
function randomWorld(random: Random): World {
  const address = (): string => `10.0.${random.below(3)}.${1 + random.below(4)}`;
  const maybe = (chance: number): string | undefined => (random.chance(chance) ? address() : undefined);
  const nodes = NAMES.map((name, i) => {
    const [bgp, internal, ipip, vxlan, wireguard] = [maybe(0.5), maybe(0.3), maybe(0.3), maybe(0.3), maybe(0.5)];
    return node(name, {
      key: { 4: key(i + 1) },
      ...(bgp && { bgp: { 4: bgp } }),
      ...(internal && { internal: [internal] }),
      ...(ipip && { ipip }),
      ...(vxlan && { vxlan: { 4: vxlan } }),
      ...(wireguard && { wireguard: { 4: wireguard } }),
    });
  });
  // Blocks in a datastore never overlap.
  const blocks = [0, 1, 2].flatMap(third => {
    const owner = random.chance(0.8) ? random.pick(NAMES) : undefined;
    const borrowed = (of: string): string[] => (random.chance(0.5) ? [`${of} ${random.pick(NAMES)}`] : []);
    if (random.chance(0.5))
      return [block(`10.0.${third}.0/24`, owner, ...borrowed(`10.0.${third}.${1 + random.below(4)}`))];
    return [1, 2].map(last => block(`10.0.${third}.${last}/32`, owner, ...borrowed(`10.0.${third}.${last}`)));
  });
  const pods = Array.from({ length: random.below(4) }, (_, i) => pod(`p${i}`, random.pick(NAMES), address()));
  return { nodes, blocks, pods };
}

/** All addresses that this node claims for itself. */
function ownAddresses({ nodes }: World): ReadonlySet<string> {
  const me = nodes.find(({ name }) => name === 'me')!;
  const own = [me.wireguardAddress[4], me.ipipAddress[4], me.vxlanAddress[4], ...hostsOf(me)];
  return new Set(own.flatMap(address => (address ? [address.join()] : [])));
}

function hostsOf({ bgpAddress, addresses }: ClusterNode): readonly Uint8Array[] {
  return [...(bgpAddress[4] ? [bgpAddress[4]] : []), ...addresses.map(({ address }) => address)];
}

test('1,000 random clusters, four plans each', () => {
  withSeed(random => {
    for (let compared = 0; compared < 1_000; ) {
      const world = randomWorld(random);
      const own = ownAddresses(world);
      // Unlike Felix, we reject an endpoint that is an address of this node (endpoints.test.ts).
      if (world.nodes.some(each => each.name !== 'me' && hostsOf(each).some(address => own.has(address.join()))))
        continue;
      compare(world);
      compared++;
    }
  });
});

describe('cases that once differed', () => {
  const me = node('me', { bgp: { 4: '172.16.0.1' }, key: { 4: key(1) } });
  const a = node('a', { bgp: { 4: '172.16.0.2' }, key: { 4: key(2) } });
  const plan = (hosts: boolean, ...objects: (ClusterNode | IpamBlock | Pod)[]) =>
    ours(
      planOf(
        cluster(
          configuration('default', { WireguardEnabled: true, WireguardHostEncryptionEnabled: hosts }),
          ...objects,
        ),
      ),
    );

  test("a tunnel address equal to the node's own is routed only with host encryption", () => {
    const b = node('b', { bgp: { 4: '172.16.0.3' }, key: { 4: key(3) }, vxlan: { 4: '172.16.0.3' }, ipip: '10.0.0.3' });
    const given = block('10.0.0.0/26', undefined, '10.0.0.3 b');
    expect(plan(false, me, b, given)).toEqual({ tunnels: ['10.0.0.3/32 b'], throws: [] });
    expect(plan(true, me, b, given)).toEqual({ tunnels: ['10.0.0.3/32 b', '172.16.0.3/32 b'], throws: [] });
    const mine = node('me', { bgp: { 4: '172.16.0.1' }, key: { 4: key(1) }, vxlan: { 4: '172.16.0.1' } });
    expect(plan(false, mine, a)).toEqual({ tunnels: [], throws: ['172.16.0.1/32'] });
  });

  test('the tunnel addresses of a node apply only if it has an address of either family', () => {
    const fields = { key: { 4: key(3) }, wireguard: { 4: '10.0.0.3' }, ipip: '10.0.0.4' };
    // With WorkloadIPs, the block that assigns the addresses claims nothing itself.
    const throwsOf = (b: ClusterNode): readonly string[] =>
      ours(
        planOf(
          cluster(
            configuration('default', { WireguardEnabled: true, RouteSource: 'WorkloadIPs' }),
            me,
            b,
            block('10.0.0.0/26', undefined, '10.0.0.3 b', '10.0.0.4 b'),
          ),
        ),
      ).throws;
    expect(throwsOf(node('b', fields))).toEqual([]);
    expect(throwsOf(node('b', { ...fields, bgp: { 6: 'fd00::3' } }))).toEqual(['10.0.0.3/32', '10.0.0.4/32']);
  });

  test('a block of one address belongs to its owner, or without an owner to the holder of the address', () => {
    const b = node('b', { bgp: { 4: '172.16.0.3' }, key: { 4: key(3) } });
    for (const [owner, holder] of [
      ['a', 'b'],
      ['b', 'a'],
    ] as const)
      expect(plan(false, me, a, b, block('10.0.0.5/32', owner, `10.0.0.5 ${holder}`)).tunnels).toEqual([
        `10.0.0.5/32 ${owner}`,
      ]);
    expect(plan(false, me, a, b, block('10.0.0.5/32', undefined, '10.0.0.5 b')).tunnels).toEqual(['10.0.0.5/32 b']);
  });

  test('an address without a prefix length is not an endpoint, but still an address of the node', () => {
    const b = node('b', {
      bgp: { 4: '172.16.0.3' },
      internal: ['172.16.0.4'],
      key: { 4: key(3) },
      ipip: '10.0.0.3',
    });
    const bare = { ...b, bgpLength: {} };
    const given = block('10.0.0.0/26', undefined, '10.0.0.3 b');
    const result = planOf(cluster(configuration('default', { WireguardEnabled: true }), me, bare, given));
    expect(ours(result)).toEqual({ tunnels: [], throws: ['10.0.0.3/32'] });
    expect(result.peers[4]).toMatchObject([{ node: 'b', plain: 'no-node-address' }]);
    const [problem] = result.problems.filter(({ object }) => object === 'Node/b');
    expect(problem).toMatchObject({ reason: 'MissingNodeAddress', message: expect.stringContaining('172.16.0.3') });
    expect(problem!.message).toContain('prefix length');
  });

  test('the tunnel address of a podCIDR increments only the last byte of the address as written', () => {
    const options = { usePodCidr: true };
    const on = configuration('default', { WireguardEnabled: true });
    for (const [last, expected] of [
      [0, '10.9.0.1'],
      [5, '10.9.0.6'],
      [255, '10.9.0.0'],
    ] as const) {
      const b = node('b', { bgp: { 4: '172.16.0.3' }, key: { 4: key(3) }, podCidrs: ['10.9.0.0/24'] });
      const result = planOf(cluster(on, me, { ...b, podCidrAddress: Uint8Array.of(10, 9, 0, last) }), { options });
      expect(ours(result).tunnels).toEqual(['10.9.0.0/24 b', `${expected}/32 b`]);
    }
  });

  test('keys are compared as Go decodes them, ignoring line breaks and unused bits', () => {
    const spare = key(3).replace(
      /.=$/,
      last => `${last === 'U=' ? 'V' : String.fromCharCode(last.charCodeAt(0) + 1)}=`,
    );
    for (const spelled of [`${key(3)}\n`, `${key(3).slice(0, 20)}\r\n${key(3).slice(20)}`, spare]) {
      expect(spelled).not.toBe(key(3));
      const b = node('b', { bgp: { 4: '172.16.0.3' }, key: { 4: spelled } });
      const on = configuration('default', { WireguardEnabled: true });
      expect([...tunnelOf(planOf(cluster(on, me, b)).desired, 4).peers.keys()]).toEqual([key(3)]);
      const c = node('c', { bgp: { 4: '172.16.0.4' }, key: { 4: key(3) } });
      expect(planOf(cluster(on, me, b, c)).peers[4]).toMatchObject([{ node: 'b' }, { plain: 'duplicate-key' }]);
    }
    for (const spelled of [`${key(3)} `, key(3).slice(0, 43), `${key(3)}=`])
      expect(
        planOf(
          cluster(
            configuration('default', { WireguardEnabled: true }),
            me,
            node('b', { bgp: { 4: '172.16.0.3' }, key: { 4: spelled } }),
          ),
        ).peers[4],
      ).toMatchObject([{ plain: 'invalid-key' }]);
  });
});
