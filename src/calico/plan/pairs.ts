/**
 * Which nodes are encrypted with which, from the cluster alone, for `wgts verify`: a pair is if either end can be a peer of the other. What the
 * devices say of it (handshakes) is for somebody else to add.
 */
import type { Family } from '../../netlink/family.ts';
import type { Cluster } from '../model/cluster.ts';
import type { PlainReason } from '../model/status.ts';
import { enabledWhere, readConfigurations } from './felix-config.ts';
import { type Credentials, credentials, keySharers, plainReason, type Standing } from './standing.ts';

/** Each two nodes once: `a` is before `b` by name. */
export interface NodePair {
  readonly a: string;
  readonly b: string;
  /** Why it is not encrypted; empty where it is. */
  readonly because: readonly { readonly node: string; readonly reason: PlainReason }[];
}

/** What each node brings, in the order of their names. */
export function standings(cluster: Cluster, family: Family): ReadonlyMap<string, Standing> {
  const isOn = enabledWhere(readConfigurations(cluster.felixConfigurations), family);
  const all = new Map<string, Credentials>();
  for (const name of [...cluster.nodes.keys()].sort()) all.set(name, credentials(cluster.nodes.get(name)!, family));
  const sharers = keySharers(all);
  const result = new Map<string, Standing>();
  for (const [name, own] of all) {
    const plain = plainReason(
      own,
      key => sharers.has(key),
      () => !isOn(cluster.nodes.get(name)!),
    );
    result.set(name, { ...own, ...(plain && { plain }) });
  }
  return result;
}

/** Whether anybody uses the family: it is on somewhere, or somebody has a key. */
export function isInUse(cluster: Cluster, family: Family): boolean {
  const isOn = enabledWhere(readConfigurations(cluster.felixConfigurations), family);
  for (const node of cluster.nodes.values()) if (node.publicKey[family] || isOn(node)) return true;
  return false;
}

/** One after another: a thousand nodes are half a million pairs. */
export function* pairs(of: ReadonlyMap<string, Standing>): Generator<NodePair> {
  const nodes = [...of];
  for (const [i, [a, first]] of nodes.entries())
    for (let j = i + 1; j < nodes.length; j++) {
      const [b, second] = nodes[j]!;
      const because = [
        ...(first.plain ? [{ node: a, reason: first.plain }] : []),
        ...(second.plain ? [{ node: b, reason: second.plain }] : []),
      ];
      yield { a, b, because };
    }
}
