/**
 * Extracts the prefixes that nodes claim from one cluster object
 * (docs/reference/calico-felix.md#prefix-owners). A claim depends on that object only, so the
 * planner caches it by the object's identity.
 */
import { type Family, familyOfAddress } from '../../../base/family.ts';
import { formatPrefix, makePrefix, type Prefix } from '../../../base/prefix.ts';
import type { ClusterNode, IpamBlock, Pod } from '../../model/cluster.ts';
import { hostAddresses, tunnelAddresses } from './node-addresses.ts';
import { addressPrefix, isSingleAddress } from './prefix-sets.ts';
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
  /** Describes the reserved range that makes the claim invalid (reserved-addresses.ts). */
  readonly refused?: string;
}

const NONE: readonly PrefixClaim[] = [];

export interface NodeClaimsOptions {
  readonly usePodCidr: boolean;
  /** Whether podCIDRs are claimed as blocks. */
  readonly withBlocks: boolean;
  /**
   * Whether a node without an address of its own claims its tunnel addresses. Felix ignores such a
   * node altogether, but fail-closed must seal these addresses too.
   */
  readonly failClosed: boolean;
}

/**
 * Returns a Node's claims: to its own addresses, to its tunnel addresses and, with host-local IPAM,
 * to its podCIDRs.
 */
export function nodeClaims(
  node: ClusterNode,
  { usePodCidr, withBlocks, failClosed }: NodeClaimsOptions,
): readonly PrefixClaim[] {
  const { name } = node;
  const claims: PrefixClaim[] = [];
  const hosts = hostAddresses(node);
  if (hosts.length > 0 || failClosed)
    for (const address of tunnelAddresses(node, usePodCidr)) add(claims, addressPrefix(address), name, 0);
  for (const address of hosts) add(claims, addressPrefix(address), name, 1, true);
  if (usePodCidr && withBlocks) for (const prefix of node.podCidrs) add(claims, prefix, name, 2);
  return claims;
}

/**
 * Returns a block's claims: the owner's claim to the block, and other nodes' claims to addresses
 * that they borrowed.
 */
export function blockClaims({ cidr, owner, allocations }: IpamBlock): readonly PrefixClaim[] {
  const claims: PrefixClaim[] = [];
  if (owner !== undefined) add(claims, cidr, owner, 2);
  // A block of a single address belongs to its owner, even if another node uses the address.
  if (owner === undefined || !isSingleAddress(cidr))
    for (const { address, node } of allocations) if (node !== owner) add(claims, addressPrefix(address), node, 2);
  return claims;
}

/** Returns the claims to a pod's addresses. */
export function podClaims({ node, addresses }: Pod): readonly PrefixClaim[] {
  if (addresses.length === 0) return NONE;
  const claims: PrefixClaim[] = [];
  for (const address of addresses) add(claims, addressPrefix(address), node, 0);
  return claims;
}

function add(claims: PrefixClaim[], prefix: Prefix, node: string, rank: PrefixClaim['rank'], host = false): void {
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
