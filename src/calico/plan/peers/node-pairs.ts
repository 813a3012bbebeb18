/**
 * Reports for `wgts verify` which pairs of nodes encrypt their traffic, according to the cluster's
 * objects alone. A pair is encrypted if each node can be a peer of the other. The caller adds what
 * the devices report, such as handshakes.
 */
import type { Family } from '../../../base/family.ts';
import type { Cluster } from '../../model/cluster.ts';
import type { PlainReason } from '../../model/status.ts';
import { enablementCheck, indexConfigurations } from '../config/felix-config.ts';
import { type Credentials, type Eligibility, plainReason, readCredentials } from './eligibility.ts';
import { KeyOwners } from './key-owners.ts';
import { type OwnAddressCheck, ownAddressCheck } from './own-addresses.ts';

/** Two nodes, listed once: `a` sorts before `b`. */
export interface NodePair {
  readonly a: string;
  readonly b: string;
  /** Why the pair's traffic is not encrypted; empty if it is encrypted. */
  readonly because: readonly { readonly node: string; readonly reason: PlainReason }[];
}

export interface PairEligibility extends Eligibility {
  /** Describes an address that belongs to this node or leads back to it. */
  readonly describeOwnAddress: OwnAddressCheck;
  /** The node's address as text, computed once for all its pairs. */
  readonly addressText: string;
}

/** Returns the eligibility of each node, in order of name. */
export function eligibilityByNode(cluster: Cluster, family: Family): ReadonlyMap<string, PairEligibility> {
  const isEnabled = enablementCheck(indexConfigurations(cluster.felixConfigurations), family);
  const all = new Map<string, Credentials>();
  const keys = new KeyOwners();
  for (const name of [...cluster.nodes.keys()].sort()) {
    const published = readCredentials(cluster.nodes.get(name)!, family);
    all.set(name, published);
    keys.move(name, published.keyText);
  }
  const result = new Map<string, PairEligibility>();
  for (const [name, published] of all) {
    const node = cluster.nodes.get(name)!;
    const plain = plainReason(
      published,
      key => keys.ownerOf(key, cluster.nodes) !== name,
      () => !isEnabled(node),
    );
    const describeOwnAddress = ownAddressCheck(node, false);
    const addressText = published.address?.join() ?? '';
    result.set(name, { ...published, ...(plain && { plain }), describeOwnAddress, addressText });
  }
  return result;
}

/** Returns whether any node has the family enabled or publishes a key for it. */
export function isFamilyInUse(cluster: Cluster, family: Family): boolean {
  const isEnabled = enablementCheck(indexConfigurations(cluster.felixConfigurations), family);
  for (const node of cluster.nodes.values()) if (node.publicKey[family] || isEnabled(node)) return true;
  return false;
}

/** Yields the pairs one by one, because 1,000 nodes form half a million pairs. */
export function* pairs(of: ReadonlyMap<string, PairEligibility>): Generator<NodePair> {
  const nodes = [...of];
  for (const [i, [a, first]] of nodes.entries())
    for (let j = i + 1; j < nodes.length; j++) {
      const [b, second] = nodes[j]!;
      const [reasonA, reasonB] = [plainReasonTowards(first, second), plainReasonTowards(second, first)];
      const because = [
        ...(reasonA ? [{ node: a, reason: reasonA }] : []),
        ...(reasonB ? [{ node: b, reason: reasonB }] : []),
      ];
      yield { a, b, because };
    }
}

/** Returns why the other node does not accept the first as a peer, or undefined if it does. */
function plainReasonTowards(
  { plain, address, addressText }: PairEligibility,
  other: PairEligibility,
): PlainReason | undefined {
  if (plain) return plain;
  return address && other.describeOwnAddress(address, addressText) !== undefined ? 'unusable-node-address' : undefined;
}
