/**
 * Which prefixes an object of the cluster gives to which node (docs/reference/calico-felix.md#prefix-owners). Each claim comes from one object alone, so that it may
 * be kept for as long as the object is the same.
 */
import { type Family, familyOfAddress } from '../../../base/family.ts';
import { formatPrefix, makePrefix, type Prefix } from '../../../base/prefix.ts';
import type { ClusterNode, IpamBlock, Pod } from '../../model/cluster.ts';
import { hostAddresses, tunnelAddresses } from './node-addresses.ts';
import { isSingle, single } from './prefix-sets.ts';
import { reservedPrefix } from './reserved-addresses.ts';

export interface Claim {
  readonly prefix: Prefix;
  /** formatPrefix of it. */
  readonly text: string;
  readonly family: Family;
  readonly node: string;
  /**
   * Of one and the same prefix, what the lower says counts: first that a pod or a tunnel of the node has this very address, then that it is
   * the address of the node itself, then what the address management says of it.
   */
  readonly rank: 0 | 1 | 2;
  /** Of the node itself: goes into the tunnel with host encryption only. */
  readonly host: boolean;
  /** Why it counts for nothing (reserved.ts). */
  readonly refused?: string;
}

const NONE: readonly Claim[] = [];

export interface NodeClaimsOptions {
  readonly usePodCidr: boolean;
  /** Whether podCIDRs are blocks. */
  readonly withBlocks: boolean;
  /** Of a node without any address Felix knows nothing else either; sealed they are all the same. */
  readonly failClosed: boolean;
}

/** Its own addresses, those of its tunnels and, where host-local IPAM hands out the addresses, its podCIDRs. */
export function nodeClaims(
  node: ClusterNode,
  { usePodCidr, withBlocks, failClosed }: NodeClaimsOptions,
): readonly Claim[] {
  const { name } = node;
  const claims: Claim[] = [];
  const hosts = hostAddresses(node);
  if (hosts.length > 0 || failClosed)
    for (const address of tunnelAddresses(node, usePodCidr)) add(claims, single(address), name, 0);
  for (const address of hosts) add(claims, single(address), name, 1, true);
  if (usePodCidr && withBlocks) for (const prefix of node.podCidrs) add(claims, prefix, name, 2);
  return claims;
}

/** The block is its owner's; the addresses in it that others borrowed are theirs. */
export function blockClaims({ cidr, owner, allocations }: IpamBlock): readonly Claim[] {
  const claims: Claim[] = [];
  if (owner !== undefined) add(claims, cidr, owner, 2);
  // a block of one address is its owner's, whoever has the address
  if (owner === undefined || !isSingle(cidr))
    for (const { address, node } of allocations) if (node !== owner) add(claims, single(address), node, 2);
  return claims;
}

export function podClaims({ node, addresses }: Pod): readonly Claim[] {
  if (addresses.length === 0) return NONE;
  const claims: Claim[] = [];
  for (const address of addresses) add(claims, single(address), node, 0);
  return claims;
}

function add(claims: Claim[], prefix: Prefix, node: string, rank: Claim['rank'], host = false): void {
  const clean = makePrefix(prefix.address, prefix.length);
  const refused = reservedPrefix(clean, host);
  claims.push({
    prefix: clean,
    text: formatPrefix(clean),
    family: familyOfAddress(clean.address),
    node,
    rank,
    host,
    ...(refused !== undefined && { refused }),
  });
}
