/**
 * Decides which node owns each prefix (docs/reference/calico-felix.md#prefix-owners); a prefix has
 * at most one owner. If several nodes claim a prefix, the claim with the lowest rank wins, then the
 * node whose name sorts first. A Problem reports the conflict. A prefix that is also a host's
 * address is routed like a host address: as in Felix, only with host encryption (REMOTE_HOST
 * overrides workload and tunnel). Unlike in Felix, a node that says that the address of another
 * node's pod is its own does not change where that address is routed.
 *
 * Each update receives the claims that are new or gone, so it costs what changed.
 */
import type { Family } from '../../../base/family.ts';
import { listed, objectOf, type Problem, quoted } from '../../model/problem.ts';
import type { PrefixClaim } from './prefix-claims.ts';

/** Lists of claims that are no longer made, and lists of new ones. */
export interface ClaimChanges {
  readonly removed: readonly (readonly PrefixClaim[])[];
  readonly added: readonly (readonly PrefixClaim[])[];
}

const NONE: readonly PrefixClaim[] = [];

export class PrefixOwners {
  readonly #nodeName: string;
  readonly #claimsByPrefix = new Map<string, PrefixClaim[]>();
  /** The claim that takes effect for each prefix. Absent if no claim does. */
  readonly #effective = new Map<string, PrefixClaim>();
  /** The Problems of invalid claims. */
  readonly #refused = new Map<PrefixClaim, Problem>();
  /** Addresses of this node that another node claims. */
  readonly #stolen = new Set<string>();
  /** Prefixes that more than one node claims. */
  readonly #disputed = new Set<string>();
  readonly #byNode: Readonly<Record<Family, Map<string, Map<string, PrefixClaim>>>> = { 4: new Map(), 6: new Map() };
  /** Names of the nodes whose effective claims changed since {@link takeChanged}. */
  #changed: Record<Family, Set<string>> = { 4: new Set(), 6: new Set() };

  /** @param nodeName this node, whose own addresses are not routed */
  constructor(nodeName: string) {
    this.#nodeName = nodeName;
  }

  /** Removes claims of an earlier update, and adds new ones. */
  update({ removed, added }: ClaimChanges): void {
    for (const claims of removed) for (const claim of claims) this.#removeClaim(claim);
    for (const claims of added) for (const claim of claims) this.#addClaim(claim);
  }

  /** Returns the names of the nodes whose claims changed since the last call. */
  takeChanged(family: Family): ReadonlySet<string> {
    const changed = this.#changed[family];
    this.#changed[family] = new Set();
    return changed;
  }

  /** Returns the names of all nodes that own a prefix of the family. */
  names(family: Family): Iterable<string> {
    return this.#byNode[family].keys();
  }

  /** Returns a node's effective claims, unordered. */
  claimsOf(family: Family, node: string): readonly PrefixClaim[] {
    const claims = this.#byNode[family].get(node);
    return claims ? [...claims.values()] : NONE;
  }

  /**
   * Returns the conflicts and invalid claims.
   * @param encryptsHosts whether conflicts between nodes' own addresses matter. Without host
   * encryption, nodes may share an address, such as a public address in front of many nodes. A
   * claim to it then only overrides a weaker claim.
   */
  problems(encryptsHosts: boolean): readonly Problem[] {
    const disputes = [...this.#disputed].flatMap(text => {
      const all = this.#claimsByPrefix.get(text)!;
      const names = new Set(all.filter(({ host }) => !host || encryptsHosts).map(({ node }) => node));
      return names.size > 1 && !this.#stolen.has(text) ? [conflictProblem(strongest(all)!, [...names].sort())] : [];
    });
    const claimedPods = [...this.#disputed].flatMap(text => {
      const all = this.#claimsByPrefix.get(text)!;
      const best = strongest(all)!;
      return all
        .filter(claim => isHost(claim) && !this.#counts(claim, best))
        .map(claim => otherPodProblem(claim, best));
    });
    const stolen = [...this.#stolen].map(text =>
      unusableProblem(strongest(this.#claimsByPrefix.get(text)!)!, `an address of node ${quoted(this.#nodeName)}`),
    );
    return [...disputes, ...claimedPods, ...this.#refused.values(), ...stolen];
  }

  #addClaim(claim: PrefixClaim): void {
    if (claim.refused !== undefined) {
      this.#refused.set(claim, refusedProblem(claim));
      return;
    }
    const all = this.#claimsByPrefix.get(claim.text);
    if (all) all.push(claim);
    else this.#claimsByPrefix.set(claim.text, [claim]);
    this.#reassign(claim.text);
  }

  #removeClaim(claim: PrefixClaim): void {
    if (claim.refused !== undefined) {
      this.#refused.delete(claim);
      return;
    }
    const all = this.#claimsByPrefix.get(claim.text)!;
    all.splice(all.indexOf(claim), 1);
    this.#reassign(claim.text);
  }

  /** Updates the owner and the conflicts of a prefix after its claims changed. */
  #reassign(text: string): void {
    const all = this.#claimsByPrefix.get(text)!;
    const before = this.#effective.get(text);
    const after = this.#effectiveClaim(all);
    if (before?.node !== after?.node || before?.host !== after?.host) {
      if (before) this.#revoke(before);
      if (after) this.#grant(after);
    }
    if (this.#isStolen(all)) this.#stolen.add(text);
    else this.#stolen.delete(text);
    if (all.length === 0) this.#claimsByPrefix.delete(text);
    if (all.some(({ node }) => node !== all[0]!.node)) this.#disputed.add(text);
    else this.#disputed.delete(text);
  }

  /**
   * Returns the claim that takes effect, with `host` set if the prefix is another node's address.
   * Returns undefined if the prefix is only this node's own address, or if another node claims this
   * node's address for a pod or a tunnel.
   */
  #effectiveClaim(all: readonly PrefixClaim[]): PrefixClaim | undefined {
    const best = strongest(all);
    // Fast path: nearly every prefix has a single claim.
    const host =
      all.length === 1
        ? best!.rank === 1
          ? best
          : undefined
        : strongest(all.filter(each => isHost(each) && this.#counts(each, best!)));
    if (!best || !host) return best;
    if (this.#isStolen(all)) return undefined;
    const isRemote = host.node !== this.#nodeName;
    if (!isRemote && best === host && all.every(isHost)) return undefined;
    return best.host === isRemote ? best : { ...best, host: isRemote };
  }

  /**
   * Returns whether another node claims an address of this node for a pod or a tunnel. Felix would
   * attribute traffic from that address to the other node. Two nodes may share an address (such as
   * a public one) only if both have it as a host address.
   */
  #isStolen(all: readonly PrefixClaim[]): boolean {
    if (all.length < 2) return false;
    const best = strongest(all);
    return (
      best !== undefined &&
      best.rank !== 1 &&
      best.node !== this.#nodeName &&
      all.some(claim => isHost(claim) && claim.node === this.#nodeName)
    );
  }

  /**
   * Returns whether a node's claim to an address of its own has an effect beside the strongest
   * claim. Beside the pod of another node it has none, because any Node can name that address.
   * The exception is a Node that is younger than the pod: it got the address of a pod that is gone
   * but not yet deleted, as clouds assign addresses again.
   */
  #counts(host: PrefixClaim, best: PrefixClaim): boolean {
    if (best.rank !== 0 || host.node === best.node || host.node === this.#nodeName) return true;
    return host.since !== undefined && best.since !== undefined && host.since > best.since;
  }

  #grant(claim: PrefixClaim): void {
    const { family, node, text } = claim;
    this.#effective.set(text, claim);
    const claims = this.#byNode[family].get(node);
    if (claims) claims.set(text, claim);
    else this.#byNode[family].set(node, new Map([[text, claim]]));
    this.#changed[family].add(node);
  }

  #revoke({ family, node, text }: PrefixClaim): void {
    this.#effective.delete(text);
    const claims = this.#byNode[family].get(node)!;
    claims.delete(text);
    if (claims.size === 0) this.#byNode[family].delete(node);
    this.#changed[family].add(node);
  }
}

/** Returns the winning claim. Claims of equal rank and node are interchangeable. */
function strongest(all: readonly PrefixClaim[]): PrefixClaim | undefined {
  let best = all[0];
  for (const each of all)
    if (best && (each.rank === best.rank ? each.node < best.node : each.rank < best.rank)) best = each;
  return best;
}

function isHost({ rank }: PrefixClaim): boolean {
  return rank === 1;
}

function refusedProblem({ node, text, refused }: PrefixClaim): Problem {
  const { reason, message, settling } = refused!;
  return { object: objectOf('Node', node), reason, message: `${text}, ${message}`, ...(settling && { settling }) };
}

function otherPodProblem({ node, text }: PrefixClaim, pod: PrefixClaim): Problem {
  return {
    object: objectOf('Node', node),
    reason: 'AddressOfOtherNode',
    message: `${text}, which this Node says is its own, is the address of a pod or a tunnel of node ${quoted(pod.node)}, to which it is still routed; correct annotation projectcalico.org/IPv4Address or IPv6Address, or the addresses in the Node's status`,
    settling: true,
  };
}

function unusableProblem({ node, text }: PrefixClaim, description: string): Problem {
  return {
    object: objectOf('Node', node),
    reason: 'UnusablePrefix',
    message: `${text}, which an annotation, a block or a pod gives this node, is ${description}; the agent does not route it: correct the source`,
  };
}

function conflictProblem({ node, text }: PrefixClaim, names: readonly string[]): Problem {
  const others = listed(names.filter(each => each !== node));
  return {
    object: objectOf('Node', node),
    reason: 'ConflictingPrefix',
    message: `${text} is also claimed by ${others}; it is routed to this node until only one node claims it`,
  };
}
