/**
 * Who has which prefix: one node each (docs/reference/calico-felix.md#prefix-owners). Where two nodes claim the same, what is more certain counts, and of equally
 * certain claims that of the node whose name comes first; people are told. What is a host's address beside is routed as one, as Felix has it
 * (REMOTE_HOST wins over workload and tunnel): with host encryption alone.
 *
 * It is told all claims each time, and looks at those alone that are new or gone: lists of claims are compared by identity.
 */
import type { Family } from '../../../base/family.ts';
import { listed, type Problem, quoted } from '../../model/problem.ts';
import type { Claim } from './prefix-claims.ts';

const NONE: readonly Claim[] = [];

export class Owners {
  #nodeName: string | undefined;
  #held: ReadonlySet<readonly Claim[]> = new Set();
  readonly #claimants = new Map<string, Claim[]>();
  /** What each prefix comes to, where it comes to anything. */
  readonly #given = new Map<string, Claim>();
  /** Claims that count for nothing, for people to be told of. */
  readonly #refused = new Set<Claim>();
  /** Prefixes that another node claims and that are this node's own address. */
  readonly #stolen = new Set<string>();
  /** Prefixes of more than one node. */
  readonly #disputed = new Set<string>();
  readonly #byNode: Readonly<Record<Family, Map<string, Map<string, Claim>>>> = { 4: new Map(), 6: new Map() };
  /** What was asked for since it last changed. */
  readonly #lists: Readonly<Record<Family, Map<string, readonly Claim[]>>> = { 4: new Map(), 6: new Map() };

  /** @param nodeName this node's, whose own addresses are no routes */
  update(contributions: Iterable<readonly Claim[]>, nodeName: string): void {
    const now = new Set(contributions);
    if (nodeName !== this.#nodeName) {
      for (const claims of this.#held) for (const claim of claims) this.#change(claim, false);
      this.#held = new Set();
      this.#nodeName = nodeName;
    }
    for (const claims of this.#held) if (!now.has(claims)) for (const claim of claims) this.#change(claim, false);
    for (const claims of now) if (!this.#held.has(claims)) for (const claim of claims) this.#change(claim, true);
    this.#held = now;
  }

  /** All that have anything in a family. */
  names(family: Family): Iterable<string> {
    return this.#byNode[family].keys();
  }

  /** In no order; the very same list for as long as nothing of it changes. */
  claimsOf(family: Family, node: string): readonly Claim[] {
    const there = this.#lists[family].get(node);
    if (there) return there;
    const claims = this.#byNode[family].get(node);
    const list = claims ? [...claims.values()] : NONE;
    this.#lists[family].set(node, list);
    return list;
  }

  /**
   * @param encryptsHosts whether the nodes' own addresses are of interest; where they are not, nodes may share one (the public one of many), and
   * such a claim only keeps a weaker one from counting
   */
  problems(encryptsHosts: boolean): readonly Problem[] {
    const disputes = [...this.#disputed].flatMap(text => {
      const all = this.#claimants.get(text)!;
      const names = new Set(all.filter(({ host }) => !host || encryptsHosts).map(({ node }) => node));
      return names.size > 1 && !this.#stolen.has(text) ? [dispute(strongest(all)!, [...names].sort())] : [];
    });
    const refused = [...this.#refused].map(claim =>
      unusable(claim, `${claim.refused}, which cannot be another node's or a pod's`),
    );
    const stolen = [...this.#stolen].map(text =>
      unusable(strongest(this.#claimants.get(text)!)!, `an address of node ${quoted(this.#nodeName)}`),
    );
    return [...disputes, ...refused, ...stolen];
  }

  #change(claim: Claim, comes: boolean): void {
    const { text } = claim;
    if (claim.refused !== undefined) {
      if (comes) this.#refused.add(claim);
      else this.#refused.delete(claim);
      return;
    }
    let all = this.#claimants.get(text);
    if (!all) {
      all = [];
      this.#claimants.set(text, all);
    }
    const before = this.#given.get(text);
    if (comes) all.push(claim);
    else all.splice(all.indexOf(claim), 1);
    const after = this.#effective(all);
    if (before?.node !== after?.node || before?.host !== after?.host) {
      if (before) this.#take(before);
      if (after) this.#give(after);
    }
    if (this.#isStolen(all)) this.#stolen.add(text);
    else this.#stolen.delete(text);
    if (all.length === 0) this.#claimants.delete(text);
    if (all.some(({ node }) => node !== all[0]!.node)) this.#disputed.add(text);
    else this.#disputed.delete(text);
  }

  /** Whose it is, and whether it is a host's address; undefined where it is nothing but this node's own address. */
  #effective(all: readonly Claim[]): Claim | undefined {
    const best = strongest(all);
    // nearly all prefixes have one claim
    const host = all.length === 1 ? (best!.rank === 1 ? best : undefined) : strongest(all.filter(isHost));
    if (!best || !host) return best;
    if (this.#isStolen(all)) return undefined;
    const isRemote = host.node !== this.#nodeName;
    if (!isRemote && best === host && all.every(isHost)) return undefined;
    return best.host === isRemote ? best : { ...best, host: isRemote };
  }

  /**
   * Whether another node has a pod or a tunnel at an address of this node. Felix would take what comes from there for that node's; two nodes may have the
   * same address outside of them, as a public one.
   */
  #isStolen(all: readonly Claim[]): boolean {
    if (all.length < 2) return false;
    const best = strongest(all);
    return (
      best !== undefined &&
      best.rank !== 1 &&
      best.node !== this.#nodeName &&
      all.some(claim => isHost(claim) && claim.node === this.#nodeName)
    );
  }

  #give(claim: Claim): void {
    const { family, node, text } = claim;
    this.#given.set(text, claim);
    const claims = this.#byNode[family].get(node);
    if (claims) claims.set(text, claim);
    else this.#byNode[family].set(node, new Map([[text, claim]]));
    this.#lists[family].delete(node);
  }

  #take({ family, node, text }: Claim): void {
    this.#given.delete(text);
    const claims = this.#byNode[family].get(node)!;
    claims.delete(text);
    if (claims.size === 0) this.#byNode[family].delete(node);
    this.#lists[family].delete(node);
  }
}

/** Of equals any: they are of one node. */
function strongest(all: readonly Claim[]): Claim | undefined {
  let best = all[0];
  for (const each of all)
    if (best && (each.rank === best.rank ? each.node < best.node : each.rank < best.rank)) best = each;
  return best;
}

function isHost({ rank }: Claim): boolean {
  return rank === 1;
}

function unusable({ node, text }: Claim, what: string): Problem {
  return {
    object: `Node/${node}`,
    reason: 'UnusablePrefix',
    message: `${text}, which an annotation, a block or a pod gives this node, is ${what}; nothing is routed there`,
  };
}

function dispute({ node, text }: Claim, names: readonly string[]): Problem {
  const shown = listed(names.filter(each => each !== node));
  return {
    object: `Node/${node}`,
    reason: 'ConflictingPrefix',
    message: `${text} is claimed by ${shown} too; it counts as this node's until only one claims it`,
  };
}
