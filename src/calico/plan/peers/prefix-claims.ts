/**
 * Extracts the prefixes that nodes claim from one cluster object
 * (docs/reference/calico-felix.md#prefix-owners). What is not believed becomes a claim with a
 * {@link Refusal}, which has no effect but a Problem. trust/believed-claims.ts caches the result.
 */
import { sameBytes } from '../../../base/bytes.ts';
import { type Family, familyOfAddress } from '../../../base/family.ts';
import { covers, formatPrefix, makePrefix, type Prefix } from '../../../base/prefix.ts';
import type { ClusterNode, IpamBlock, Pod } from '../../model/cluster.ts';
import type { Refusal } from '../../model/problem.ts';
import type { NodeJudge } from '../trust/node-judge.ts';
import { hostAddresses, tunnelAddresses } from './node-addresses.ts';
import { addressPrefix, isSingleAddress, subtractPrefixes } from './prefix-sets.ts';
import { reservedPrefix } from './reserved-addresses.ts';

export interface PrefixClaim {
  readonly prefix: Prefix;
  /** The prefix in the form that formatPrefix returns. */
  readonly text: string;
  readonly family: Family;
  readonly node: string;
  /**
   * Precedence among claims to the same prefix; the lowest wins.
   * - 0: address of a pod, or of one of the node's tunnels.
   * - 1: address of the node itself.
   * - 2: allocation by IPAM.
   */
  readonly rank: 0 | 1 | 2;
  /**
   * Whether this is an address of the node itself: routed into the tunnel only with host
   * encryption.
   */
  readonly host: boolean;
  /** When the Node or Pod that makes the claim was created, for its own addresses. */
  readonly since?: string;
  /** Why the claim has no effect. */
  readonly refused?: Refusal;
}

const NONE: readonly PrefixClaim[] = [];

/** What claims of every kind depend on beside their object. */
export interface ClaimContext {
  /** This node. Its claims only keep traffic out of the tunnel. */
  readonly nodeName: string;
  /** Addresses by which this node reaches the API server. */
  readonly apiServers: readonly Prefix[];
}

export interface NodeClaimsOptions extends ClaimContext {
  readonly usePodCidr: boolean;
  /**
   * Whether a node without an address of its own claims its tunnel addresses. Felix ignores such a
   * node altogether, but fail-closed must seal these addresses too.
   */
  readonly failClosed: boolean;
  /** Whether nodes' own addresses are routed. */
  readonly encryptsHosts: boolean;
  readonly judge: NodeJudge;
  /** Judges a podCIDR of the node. Absent if podCIDRs are not claimed. */
  readonly judgePodCidr?: (name: string, podCidr: Prefix) => Refusal | undefined;
}

/**
 * Returns a Node's claims: to its own addresses, to its tunnel addresses and, with host-local IPAM,
 * to its podCIDRs.
 */
export function nodeClaims(node: ClusterNode, options: NodeClaimsOptions): readonly PrefixClaim[] {
  const { name, creationTimestamp: since } = node;
  const { judge, judgePodCidr } = options;
  const isOwn = name === options.nodeName;
  const claims = new Claims(options);
  const hosts = hostAddresses(node);
  if (hosts.length > 0 || options.failClosed)
    for (const address of tunnelAddresses(node, options.usePodCidr)) {
      // An address of the node itself is claimed as such. Beside it, the tunnel's claim would only
      // take the address from other nodes that have it too.
      const isHost = hosts.some(host => sameBytes(host, address));
      if (isHost && !isOwn) continue;
      claims.add(
        { prefix: addressPrefix(address), node: name, rank: 0 },
        isHost ? undefined : judge.tunnel(node, address),
      );
    }
  // With host encryption, the API server's own node must be reached as its address says: its
  // answers come through the tunnel.
  const mayBeApiServer = isOwn || !options.encryptsHosts || node.isControlPlane === true;
  for (const address of hosts)
    claims.add(
      { prefix: addressPrefix(address), node: name, rank: 1, host: true, since },
      isOwn ? undefined : judge.host(node, address),
      mayBeApiServer,
    );
  if (judgePodCidr)
    for (const prefix of node.podCidrs) claims.add({ prefix, node: name, rank: 2 }, judgePodCidr(name, prefix));
  return claims.all;
}

/**
 * Returns a block's claims: the owner's claim to the block, and other nodes' claims to addresses
 * that they borrowed.
 */
export function blockClaims(
  { cidr, owner, allocations }: IpamBlock,
  context: ClaimContext,
  isLending: boolean,
): readonly PrefixClaim[] {
  const claims = new Claims(context);
  if (owner !== undefined) claims.add({ prefix: cidr, node: owner, rank: 2 });
  // A block of a single address belongs to its owner, even if another node uses the address.
  if (isLending && (owner === undefined || !isSingleAddress(cidr)))
    for (const { address, node } of allocations)
      if (node !== owner) claims.add({ prefix: addressPrefix(address), node, rank: 2 });
  return claims.all;
}

/** Returns the claims to a pod's addresses. */
export function podClaims({ node, addresses, creationTimestamp }: Pod, context: ClaimContext): readonly PrefixClaim[] {
  if (addresses.length === 0) return NONE;
  const claims = new Claims(context);
  for (const address of addresses)
    claims.add({ prefix: addressPrefix(address), node, rank: 0, since: creationTimestamp });
  return claims.all;
}

interface Claimed extends Pick<PrefixClaim, 'prefix' | 'node' | 'rank'> {
  readonly host?: boolean;
  readonly since?: string | undefined;
}

class Claims {
  readonly all: PrefixClaim[] = [];
  readonly #context: ClaimContext;

  constructor(context: ClaimContext) {
    this.#context = context;
  }

  add(claimed: Claimed, refused?: Refusal, mayBeApiServer = false): void {
    const { host = false, node } = claimed;
    const prefix = makePrefix(claimed.prefix.address, claimed.prefix.length);
    const reserved = reservedPrefix(prefix, host);
    const why = reserved === undefined ? refused : unusable(reserved);
    if (why) {
      this.#push(claimed, prefix, why);
      return;
    }
    const { apiServers, nodeName } = this.#context;
    const servers = mayBeApiServer || node === nodeName ? [] : apiServers.filter(each => covers(prefix, each));
    // A wider prefix keeps its other addresses, which pods may use.
    for (const each of servers) this.#push(claimed, each, API_SERVER);
    const parts = servers.length === 0 ? [prefix] : subtractPrefixes(prefix, servers);
    for (const part of parts) this.#push(claimed, part);
  }

  #push({ node, rank, host = false, since }: Claimed, prefix: Prefix, refused?: Refusal): void {
    this.all.push({
      prefix,
      text: formatPrefix(prefix),
      family: familyOfAddress(prefix.address),
      node,
      rank,
      host,
      ...(since !== undefined && { since }),
      ...(refused && { refused }),
    });
  }
}

const API_SERVER: Refusal = {
  reason: 'ApiServerAddress',
  message:
    'which an annotation, a block or a pod gives this node, is the address of the API server; the agent does not route it to this node: correct the source or, if the API server runs on this node, label the Node node-role.kubernetes.io/control-plane',
};

function unusable(description: string): Refusal {
  return {
    reason: 'UnusablePrefix',
    message: `which an annotation, a block or a pod gives this node, is ${description}, which cannot belong to another node or a pod; the agent does not route it: correct the source`,
  };
}
