/**
 * The claims of all objects of a cluster, with those refused that exceed what the cluster's
 * administrator gave (docs/en/calico-security.md). Each update looks only at objects that changed
 * since the last one, and at those whose voucher has changed: the pools, or the block of a node's
 * address. It returns which lists of claims are gone and which are new.
 */
import { makePrefix, type Prefix, prefixKey } from '../../../base/prefix.ts';
import { changedKeys } from '../../../base/versioned-map.ts';
import {
  type Cluster,
  type ClusterNode,
  EMPTY_CLUSTER,
  type IpamBlock,
  type IpPool,
  type PoolRange,
} from '../../model/cluster.ts';
import type { Problem } from '../../model/problem.ts';
import { hostAddresses, tunnelAddresses } from '../peers/node-addresses.ts';
import {
  blockClaims,
  type NodeClaimsOptions,
  nodeClaims,
  type PrefixClaim,
  podClaims,
} from '../peers/prefix-claims.ts';
import type { ClaimChanges } from '../peers/prefix-owners.ts';
import { addressPrefix } from '../peers/prefix-sets.ts';
import { judgeByBlocks, judgeByPodCidrs } from './node-judge.ts';
import { PoolRanges } from './pool-ranges.ts';
import { type BlockKey, TrustedBlocks } from './trusted-blocks.ts';
import { TrustedPodCidrs } from './trusted-pod-cidrs.ts';

/** Settings that decide which claims an object makes. They never change for one instance. */
export interface ClaimSettings {
  /** This node. Its pods claim their addresses even where blocks decide. */
  readonly nodeName: string;
  readonly usePodCidr: boolean;
  /** Whether pods claim their addresses, and blocks claim nothing (route source WorkloadIPs). */
  readonly fromPods: boolean;
  readonly failClosed: boolean;
}

export interface ClaimInput {
  readonly cluster: Cluster;
  readonly encryptsHosts: boolean;
  readonly apiServers: readonly Uint8Array[];
  readonly formerPools: readonly PoolRange[];
}

type Claims = readonly PrefixClaim[];
/** Keys of objects; `all` stands for every object. */
type Stale = 'all' | Iterable<string>;

interface KnownNode {
  readonly claims: Claims;
  /** The blocks that the claims were compared with, whether or not they exist. */
  readonly blocks: readonly BlockKey[];
}

const NONE: Claims = [];
const NO_BLOCKS: ReadonlyMap<string, IpamBlock> = new Map();

export class BelievedClaims {
  readonly #settings: ClaimSettings;
  readonly #trusted = new TrustedBlocks();
  readonly #podCidrs = new TrustedPodCidrs();
  #pools = new PoolRanges([], []);
  #poolSources: readonly [ReadonlyMap<string, IpPool>?, (readonly PoolRange[])?] = [];
  #cluster: Cluster = EMPTY_CLUSTER;
  /** The own addresses of the control plane's Nodes. */
  readonly #controlPlane = new Map<string, readonly Uint8Array[]>();
  /** What the last claims depended on, beside their objects and what vouches for them. */
  #context = '';
  #options!: NodeClaimsOptions;
  readonly #nodes = new Map<string, KnownNode>();
  /** Names of the nodes that have an address in a block. */
  readonly #nodesByBlock = new Map<BlockKey, Set<string>>();
  readonly #blocks = new Map<string, Claims>();
  readonly #pods = new Map<string, Claims>();
  #hostVersion = 0;
  #changedHosts: ReadonlySet<string> = new Set();

  constructor(settings: ClaimSettings) {
    this.#settings = settings;
  }

  /** Problems with blocks. Other refusals are in the claims. */
  get problems(): readonly Problem[] {
    return this.#trusted.problems;
  }

  /** A number that grows by one with each update that changes the own addresses of any node. */
  get hostVersion(): number {
    return this.#hostVersion;
  }

  /** Names of the nodes whose own addresses changed with the last such update. */
  get changedHosts(): ReadonlySet<string> {
    return this.#changedHosts;
  }

  update(input: ClaimInput): ClaimChanges {
    const { nodeName, usePodCidr, fromPods } = this.#settings;
    const { cluster } = input;
    const before = this.#cluster;
    this.#cluster = cluster;
    const isNew = this.#updateContext(input, before);
    const { nodes, blocks } = this.#updateVouchers(cluster, isNew);
    const changes = new ListChanges();
    const changedHosts = new Set<string>();
    for (const name of keysOf(nodes, this.#nodes, before.nodes, cluster.nodes)) {
      const old = this.#nodes.get(name)?.claims ?? NONE;
      const claims = this.#claimsOfNode(name, cluster.nodes.get(name));
      changes.replace(old, claims);
      if (hostTexts(old) !== hostTexts(claims)) changedHosts.add(name);
    }
    if (changedHosts.size > 0) {
      this.#hostVersion++;
      this.#changedHosts = changedHosts;
    }
    // Blocks exist only with Calico IPAM, not with host-local IPAM.
    if (!fromPods && !usePodCidr)
      for (const key of keysOf(blocks, this.#blocks, before.ipamBlocks, cluster.ipamBlocks)) {
        const block = cluster.ipamBlocks.get(key);
        changes.replace(...put(this.#blocks, key, block ? this.#claimsOfBlock(block) : NONE));
      }
    for (const key of keysOf(isNew ? 'all' : [], this.#pods, before.pods, cluster.pods)) {
      const pod = cluster.pods.get(key);
      const counts = pod && (fromPods || pod.node === nodeName);
      changes.replace(...put(this.#pods, key, counts ? podClaims(pod, this.#options) : NONE));
    }
    return changes;
  }

  /** Returns the claims of one node to its own addresses. */
  hostsOf(name: string): Claims {
    return (this.#nodes.get(name)?.claims ?? NONE).filter(({ host, refused }) => host && !refused);
  }

  /** Yields the claims of all nodes to their own addresses. */
  *hosts(): Generator<PrefixClaim> {
    for (const { claims } of this.#nodes.values())
      for (const claim of claims) if (claim.host && !claim.refused) yield claim;
  }

  /** Reads what all claims depend on. @returns whether any of it changed */
  #updateContext({ cluster, encryptsHosts, apiServers, formerPools }: ClaimInput, before: Cluster): boolean {
    const { nodeName, usePodCidr, fromPods, failClosed } = this.#settings;
    const [known, former] = this.#poolSources;
    let isNew = false;
    if (known !== cluster.ipPools || former !== formerPools) {
      const pools = new PoolRanges(cluster.ipPools.values(), formerPools);
      // Most changes of a pool concern other fields.
      isNew = pools.text !== this.#pools.text;
      if (isNew) this.#pools = pools;
      this.#poolSources = [cluster.ipPools, formerPools];
    }
    const servers = this.#serverPrefixes(cluster, apiServers, before);
    const context = `${encryptsHosts} ${servers.map(({ address }) => address.join('.')).join()}`;
    isNew ||= context !== this.#context || before === EMPTY_CLUSTER;
    this.#context = context;
    if (!isNew) return false;
    const judge = usePodCidr ? judgeByPodCidrs(this.#podCidrs) : judgeByBlocks(this.#trusted);
    const judgePodCidr = (name: string, podCidr: Prefix) => this.#podCidrs.refusal(name, podCidr);
    const shared = { nodeName, apiServers: servers, usePodCidr, failClosed, encryptsHosts, judge };
    this.#options = { ...shared, ...(usePodCidr && !fromPods && { judgePodCidr }) };
    return true;
  }

  /**
   * Returns the addresses of the API server: those by which this node reaches it, and those of the
   * control plane's Nodes, where the servers behind a Service's address usually run.
   */
  #serverPrefixes({ nodes }: Cluster, apiServers: readonly Uint8Array[], before: Cluster): readonly Prefix[] {
    for (const name of changedKeys(before.nodes, nodes)) {
      const node = nodes.get(name);
      if (node?.isControlPlane) this.#controlPlane.set(name, hostAddresses(node));
      else this.#controlPlane.delete(name);
    }
    const all = [...apiServers, ...[...this.#controlPlane.values()].flat()];
    const byText = new Map(all.map(each => [each.join('.'), each]));
    return [...byText].sort(([a], [b]) => (a < b ? -1 : 1)).map(([, each]) => addressPrefix(each));
  }

  /** Updates what vouches for claims. @returns the objects that are judged anew */
  #updateVouchers(cluster: Cluster, isNew: boolean): { readonly nodes: Stale; readonly blocks: Stale } {
    if (this.#settings.usePodCidr) {
      this.#trusted.update(NO_BLOCKS, this.#pools);
      const isOther = this.#podCidrs.update(cluster.nodes, this.#pools);
      return { nodes: isOther || isNew ? 'all' : [], blocks: [] };
    }
    const changed = this.#trusted.update(cluster.ipamBlocks, this.#pools);
    if (isNew || changed === 'all') return { nodes: 'all', blocks: 'all' };
    const nodes = new Set<string>();
    for (const key of changed) for (const name of this.#nodesByBlock.get(key) ?? []) nodes.add(name);
    return { nodes, blocks: [] };
  }

  #claimsOfNode(name: string, node: ClusterNode | undefined): Claims {
    this.#forget(name);
    if (!node) return NONE;
    const blocks = this.#settings.usePodCidr ? [] : this.#blocksOf(node);
    for (const key of blocks) {
      const names = this.#nodesByBlock.get(key);
      if (names) names.add(name);
      else this.#nodesByBlock.set(key, new Set([name]));
    }
    const claims = nodeClaims(node, this.#options);
    this.#nodes.set(name, { claims, blocks });
    return claims;
  }

  #forget(name: string): void {
    for (const key of this.#nodes.get(name)?.blocks ?? []) {
      const names = this.#nodesByBlock.get(key)!;
      names.delete(name);
      if (names.size === 0) this.#nodesByBlock.delete(key);
    }
    this.#nodes.delete(name);
  }

  /** Returns the keys of the blocks that a node's addresses are in, or would be in. */
  #blocksOf(node: ClusterNode): readonly BlockKey[] {
    const keys = new Set<BlockKey>();
    for (const address of [...hostAddresses(node), ...tunnelAddresses(node, false)])
      for (const length of this.#pools.blockSizes[address.length as 4 | 16])
        keys.add(prefixKey(makePrefix(address, length)));
    return [...keys];
  }

  #claimsOfBlock(block: IpamBlock): Claims {
    return this.#trusted.isTrusted(block) ? blockClaims(block, this.#options, this.#trusted.isLending(block)) : NONE;
  }
}

/** Lists of claims that are gone and new. */
class ListChanges implements ClaimChanges {
  readonly removed: Claims[] = [];
  readonly added: Claims[] = [];

  replace(before: Claims = NONE, after: Claims): void {
    if (before === after) return;
    if (before.length > 0) this.removed.push(before);
    if (after.length > 0) this.added.push(after);
  }
}

function hostTexts(claims: Claims): string {
  return claims.flatMap(({ host, refused, text }) => (host && !refused ? text : [])).join();
}

/** Sets a list of claims. @returns the list before, and the list */
function put(known: Map<string, Claims>, key: string, claims: Claims): [before: Claims | undefined, after: Claims] {
  const before = known.get(key);
  if (claims.length > 0) known.set(key, claims);
  else known.delete(key);
  return [before, claims];
}

/** Returns the keys of the objects that changed or are stale. */
function keysOf<T>(
  stale: Stale,
  known: ReadonlyMap<string, unknown>,
  before: ReadonlyMap<string, T>,
  now: ReadonlyMap<string, T>,
): Iterable<string> {
  if (stale === 'all') return new Set([...known.keys(), ...now.keys()]);
  const changed = changedKeys(before, now);
  const more = [...stale];
  return more.length === 0 ? changed : new Set([...changed, ...more]);
}
