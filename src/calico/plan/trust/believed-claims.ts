/**
 * The claims of all objects of a cluster, with those refused that exceed what the cluster's
 * administrator gave (docs/en/calico-security.md). Unchanged objects yield the same lists, unless
 * what vouches for them has changed: the pools, or the block of a node's address.
 */
import { makePrefix, type Prefix, prefixKey } from '../../../base/prefix.ts';
import type { Cluster, ClusterNode, IpamBlock, IpPool, Pod, PoolRange } from '../../model/cluster.ts';
import type { Problem } from '../../model/problem.ts';
import { hostAddresses, tunnelAddresses } from '../peers/node-addresses.ts';
import {
  blockClaims,
  type NodeClaimsOptions,
  nodeClaims,
  type PrefixClaim,
  podClaims,
} from '../peers/prefix-claims.ts';
import { addressPrefix } from '../peers/prefix-sets.ts';
import { judgeByBlocks, judgeByPodCidrs } from './node-judge.ts';
import { PoolRanges } from './pool-ranges.ts';
import { type BlockKey, TrustedBlocks } from './trusted-blocks.ts';
import { TrustedPodCidrs } from './trusted-pod-cidrs.ts';

export interface ClaimSources {
  readonly cluster: Cluster;
  readonly nodeName: string;
  readonly usePodCidr: boolean;
  readonly failClosed: boolean;
  readonly encryptsHosts: boolean;
  /** Whether pods' addresses come from the Pods of all nodes (route source WorkloadIPs). */
  readonly fromPods: boolean;
  readonly apiServers: readonly Uint8Array[];
  readonly formerPools: readonly PoolRange[];
}

type Claims = readonly PrefixClaim[];

interface KnownNode {
  readonly node: ClusterNode;
  readonly claims: Claims;
  /** The blocks that the claims were compared with, whether or not they exist. */
  readonly blocks: readonly BlockKey[];
}

const NONE: Claims = [];
const NO_BLOCKS: ReadonlyMap<string, IpamBlock> = new Map();

export class BelievedClaims {
  readonly #blocks = new TrustedBlocks();
  readonly #podCidrs = new TrustedPodCidrs();
  #pools = new PoolRanges([], []);
  #poolSources: readonly [ReadonlyMap<string, IpPool>?, (readonly PoolRange[])?] = [];
  #settings = '';
  #options!: NodeClaimsOptions;
  readonly #nodes = new Map<string, KnownNode>();
  /** Names of the nodes that have an address in a block. */
  readonly #nodesByBlock = new Map<BlockKey, Set<string>>();
  #blockClaims = new WeakMap<IpamBlock, { readonly isLending: boolean; readonly claims: Claims }>();
  #podClaims = new WeakMap<Pod, Claims>();

  /** Problems with blocks. Other refusals are in the claims. */
  get problems(): readonly Problem[] {
    return this.#blocks.problems;
  }

  /** Returns the claims of every object, one list each. */
  collect(sources: ClaimSources): readonly Claims[] {
    const { cluster, nodeName, usePodCidr, fromPods } = sources;
    this.#update(sources);
    const claims: Claims[] = [];
    for (const node of cluster.nodes.values()) claims.push(this.#claimsOfNode(node));
    if (this.#nodes.size > cluster.nodes.size)
      for (const name of this.#nodes.keys()) if (!cluster.nodes.has(name)) this.#forget(name);
    // Blocks exist only with Calico IPAM, not with host-local IPAM.
    if (!fromPods && !usePodCidr)
      for (const block of cluster.ipamBlocks.values()) claims.push(this.#claimsOfBlock(block));
    for (const pod of cluster.pods.values()) if (fromPods || pod.node === nodeName) claims.push(this.#claimsOfPod(pod));
    return claims;
  }

  /** Returns a node's claims to its own addresses, of the last collection. */
  hostsOf(name: string): Claims {
    return this.#nodes.get(name)?.claims.filter(({ host, refused }) => host && !refused) ?? NONE;
  }

  #update(sources: ClaimSources): void {
    const { cluster, nodeName, usePodCidr, failClosed, encryptsHosts, fromPods, formerPools } = sources;
    const [known, former] = this.#poolSources;
    if (known !== cluster.ipPools || former !== formerPools) {
      const pools = new PoolRanges(cluster.ipPools.values(), formerPools);
      // Most changes of a pool concern other fields.
      if (pools.text !== this.#pools.text) this.#nodes.clear();
      if (pools.text !== this.#pools.text) this.#pools = pools;
      this.#poolSources = [cluster.ipPools, formerPools];
    }
    const servers = serverPrefixes(sources);
    const flags = [usePodCidr, failClosed, encryptsHosts, fromPods].join();
    const settings = `${nodeName} ${flags} ${servers.map(({ address }) => address.join('.')).join()}`;
    if (settings !== this.#settings) {
      this.#settings = settings;
      this.#nodes.clear();
      this.#blockClaims = new WeakMap();
      this.#podClaims = new WeakMap();
    }
    const judge = usePodCidr ? judgeByPodCidrs(this.#podCidrs) : judgeByBlocks(this.#blocks);
    const judgePodCidr = (name: string, podCidr: Prefix) => this.#podCidrs.refusal(name, podCidr);
    const context = { nodeName, apiServers: servers, usePodCidr, failClosed, encryptsHosts, judge };
    this.#options = { ...context, ...(usePodCidr && !fromPods && { judgePodCidr }) };
    if (usePodCidr) {
      this.#blocks.update(NO_BLOCKS, this.#pools);
      if (this.#podCidrs.update(cluster.nodes, this.#pools)) this.#nodes.clear();
    } else this.#forgetNodesIn(this.#blocks.update(cluster.ipamBlocks, this.#pools));
    if (this.#nodes.size === 0) this.#nodesByBlock.clear();
  }

  #forgetNodesIn(changed: ReturnType<TrustedBlocks['update']>): void {
    if (changed === 'all') this.#nodes.clear();
    else for (const key of changed) for (const name of [...(this.#nodesByBlock.get(key) ?? [])]) this.#forget(name);
  }

  #forget(name: string): void {
    for (const key of this.#nodes.get(name)?.blocks ?? []) {
      const names = this.#nodesByBlock.get(key)!;
      names.delete(name);
      if (names.size === 0) this.#nodesByBlock.delete(key);
    }
    this.#nodes.delete(name);
  }

  #claimsOfNode(node: ClusterNode): Claims {
    const { name } = node;
    const known = this.#nodes.get(name);
    if (known?.node === node) return known.claims;
    this.#forget(name);
    const blocks = this.#options.usePodCidr ? [] : this.#blocksOf(node);
    for (const key of blocks) {
      const names = this.#nodesByBlock.get(key);
      if (names) names.add(name);
      else this.#nodesByBlock.set(key, new Set([name]));
    }
    const claims = nodeClaims(node, this.#options);
    this.#nodes.set(name, { node, claims, blocks });
    return claims;
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
    const known = this.#blockClaims.get(block);
    if (known?.isLending && this.#blocks.areAllTrusted) return known.claims;
    if (!this.#blocks.isTrusted(block)) return NONE;
    const isLending = this.#blocks.isLending(block);
    if (known?.isLending === isLending) return known.claims;
    const claims = blockClaims(block, this.#options, isLending);
    this.#blockClaims.set(block, { isLending, claims });
    return claims;
  }

  #claimsOfPod(pod: Pod): Claims {
    const known = this.#podClaims.get(pod);
    if (known) return known;
    const claims = podClaims(pod, this.#options);
    this.#podClaims.set(pod, claims);
    return claims;
  }
}

/**
 * Returns the addresses of the API server: those by which this node reaches it, and those of the
 * control plane's Nodes, where the servers behind a Service's address usually run.
 */
function serverPrefixes({ cluster, apiServers }: ClaimSources): readonly Prefix[] {
  const found = new Map(apiServers.map(each => [each.join('.'), each]));
  for (const node of cluster.nodes.values())
    if (node.isControlPlane) for (const each of hostAddresses(node)) found.set(each.join('.'), each);
  return [...found].sort(([a], [b]) => (a < b ? -1 : 1)).map(([, each]) => addressPrefix(each));
}
