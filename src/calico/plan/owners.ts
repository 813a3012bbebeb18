/**
 * Who has which prefix: one node each (calico-wireguard 3.1). Where two nodes claim the same, what is more certain counts, and of equally
 * certain claims that of the node whose name comes first; people are told.
 */
import type { Family } from '../../netlink/family.ts';
import { type Problem, quoted } from '../model/problem.ts';
import type { Claim } from './claims.ts';

export interface Owners {
  /** Of every node with prefixes in a family, in no order. */
  readonly byNode: Readonly<Record<Family, ReadonlyMap<string, readonly Claim[]>>>;
  readonly problems: readonly Problem[];
}

/**
 * @param nodeName whose own addresses are the kernel's affair
 * @param encryptsHosts whether the other nodes' own addresses are of interest; where they are not, a node's address only keeps a weaker claim to
 * it from counting, and nodes may share one (the public one of many)
 */
export function owners(
  contributions: readonly (readonly Claim[])[],
  { nodeName, encryptsHosts }: { readonly nodeName: string; readonly encryptsHosts: boolean },
): Owners {
  const winners = new Map<string, Claim>();
  const disputed = new Set<string>();
  for (const claims of contributions)
    for (const claim of claims) {
      const there = winners.get(claim.text);
      if (there === undefined) winners.set(claim.text, claim);
      else {
        if (there.node !== claim.node) disputed.add(claim.text);
        if (isStronger(claim, there)) winners.set(claim.text, claim);
      }
    }
  const byNode: Record<Family, Map<string, Claim[]>> = { 4: new Map(), 6: new Map() };
  for (const claim of winners.values()) {
    if (claim.host && (!encryptsHosts || claim.node === nodeName)) continue;
    const same = byNode[claim.family].get(claim.node);
    if (same) same.push(claim);
    else byNode[claim.family].set(claim.node, [claim]);
  }
  return { byNode, problems: disputed.size === 0 ? [] : disputes(contributions, winners, disputed, encryptsHosts) };
}

/** Looked up once more from the start: who met whom above depends on their order. */
function disputes(
  contributions: readonly (readonly Claim[])[],
  winners: ReadonlyMap<string, Claim>,
  disputed: ReadonlySet<string>,
  encryptsHosts: boolean,
): readonly Problem[] {
  const claimants = new Map<string, Set<string>>();
  for (const claims of contributions)
    for (const { text, node, host } of claims) {
      if (!disputed.has(text) || (host && !encryptsHosts)) continue;
      const names = claimants.get(text);
      if (names) names.add(node);
      else claimants.set(text, new Set([node]));
    }
  return [...claimants]
    .filter(([, names]) => names.size > 1)
    .map(([text, names]) => dispute(winners.get(text)!, [...names].sort()));
}

function isStronger(a: Claim, b: Claim): boolean {
  return a.rank === b.rank ? a.node < b.node : a.rank < b.rank;
}

function dispute({ node, text }: Claim, names: readonly string[]): Problem {
  const others = names.filter(each => each !== node);
  const shown = others.slice(0, 3).map(quoted).join(', ') + (others.length > 3 ? ` and ${others.length - 3} more` : '');
  return {
    object: `Node/${node}`,
    reason: 'ConflictingPrefix',
    message: `${text} is claimed by ${shown} too; it counts as this node's until only one claims it`,
  };
}
