/**
 * Which nodes are encrypted with which, from the cluster alone, for `wgts verify`: a pair is if either end can be a peer of the other. What the
 * devices say of it (handshakes) is for somebody else to add.
 */
import type { Family } from '../../../base/family.ts';
import type { Cluster } from '../../model/cluster.ts';
import type { PlainReason } from '../../model/status.ts';
import { enablementCheck, indexConfigurations } from '../config/felix-config.ts';
import { type Credentials, credentials, keySharers, plainReason, type Standing } from './eligibility.ts';
import { type OwnAddressCheck, ownAddressCheck } from './own-addresses.ts';

/** Each two nodes once: `a` is before `b` by name. */
export interface NodePair {
  readonly a: string;
  readonly b: string;
  /** Why it is not encrypted; empty where it is. */
  readonly because: readonly { readonly node: string; readonly reason: PlainReason }[];
}

export interface PairStanding extends Standing {
  /** What an address is that is this node's own. */
  readonly whyOurs: OwnAddressCheck;
  /** Of its address, once for all pairs. */
  readonly addressText: string;
}

/** What each node brings, in the order of their names. */
export function standings(cluster: Cluster, family: Family): ReadonlyMap<string, PairStanding> {
  const isOn = enablementCheck(indexConfigurations(cluster.felixConfigurations), family);
  const all = new Map<string, Credentials>();
  for (const name of [...cluster.nodes.keys()].sort()) all.set(name, credentials(cluster.nodes.get(name)!, family));
  const sharers = keySharers(all);
  const result = new Map<string, PairStanding>();
  for (const [name, own] of all) {
    const plain = plainReason(
      own,
      key => sharers.has(key),
      () => !isOn(cluster.nodes.get(name)!),
    );
    const whyOurs = ownAddressCheck(cluster.nodes.get(name)!, false);
    const addressText = own.address?.join() ?? '';
    result.set(name, { ...own, ...(plain && { plain }), whyOurs, addressText });
  }
  return result;
}

/** Whether anybody uses the family: it is on somewhere, or somebody has a key. */
export function isInUse(cluster: Cluster, family: Family): boolean {
  const isOn = enablementCheck(indexConfigurations(cluster.felixConfigurations), family);
  for (const node of cluster.nodes.values()) if (node.publicKey[family] || isOn(node)) return true;
  return false;
}

/** One after another: a thousand nodes are half a million pairs. */
export function* pairs(of: ReadonlyMap<string, PairStanding>): Generator<NodePair> {
  const nodes = [...of];
  for (const [i, [a, first]] of nodes.entries())
    for (let j = i + 1; j < nodes.length; j++) {
      const [b, second] = nodes[j]!;
      const [why, whyNot] = [plainFor(first, second), plainFor(second, first)];
      const because = [...(why ? [{ node: a, reason: why }] : []), ...(whyNot ? [{ node: b, reason: whyNot }] : [])];
      yield { a, b, because };
    }
}

/** Why a node is no peer of another. */
function plainFor({ plain, address, addressText }: PairStanding, other: PairStanding): PlainReason | undefined {
  return plain ?? (address && other.whyOurs(address, addressText) !== undefined ? 'unusable-node-address' : undefined);
}
