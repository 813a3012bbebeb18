/**
 * Plans the routes of the tunnel's table (docs/reference/calico-felix.md#routes):
 * - Prefixes of encrypted nodes are routed into the tunnel.
 * - Other known prefixes, and local prefixes that may lie within a tunnel route, get a `throw`
 *   route: the lookup continues with the next table.
 * - With fail-closed, pods of unencrypted nodes are `unreachable`. Pods of encrypted nodes become
 *   unreachable when the tunnel and its routes are gone.
 */
import type { Family } from '../../../base/family.ts';
import { covers, formatPrefix, type Prefix } from '../../../base/prefix.ts';
import { PrefixSet } from '../../../base/prefix-set.ts';
import type { DesiredRoute } from '../../model/desired.ts';
import type { NodePrefixes } from '../peers/node-prefixes.ts';
import type { PrefixClaim } from '../peers/prefix-claims.ts';
import { isSingleAddress, subtractPrefixes } from '../peers/prefix-sets.ts';

/** What a node is to this one. */
export interface RouteRole {
  readonly isOwn: boolean;
  /** Whether the node is an encrypted peer. */
  readonly isPeer: boolean;
  /** Whether the owner is a Node of the cluster. Blocks may have other owners. */
  readonly isNode: boolean;
  readonly failClosed: boolean;
}

/** Owner of the blocks that provide addresses for LoadBalancer Services. Pods never use them. */
const LOAD_BALANCER = 'load-balancer';

/** Returns the claims of a node that need a route. */
export function routedClaims({ claims }: NodePrefixes, { isOwn }: RouteRole): readonly PrefixClaim[] {
  return isOwn ? withoutCovered(claims) : claims;
}

/**
 * Returns the route of a claim.
 * @param known the route to this prefix so far, which is returned if it stays
 */
export function routeOf(
  { prefix, node, host }: PrefixClaim,
  role: RouteRole,
  known: DesiredRoute | undefined,
): DesiredRoute {
  const isSealed = sealsPods(node, role) && !host;
  const kind = role.isPeer ? 'tunnel' : isSealed ? 'unreachable' : 'throw';
  // Without the tunnel, hosts are reached in the clear, because restoring the tunnel may depend on
  // them.
  const orElse = kind === 'tunnel' && !host ? 'unreachable' : undefined;
  if (known?.kind === kind && known.orElse === orElse) return known;
  return { destination: prefix, kind, ...(orElse && { orElse }) };
}

/** Returns whether fail-closed seals the pods of an owner. */
export function sealsPods(owner: string, { isOwn, isNode, failClosed }: RouteRole): boolean {
  return failClosed && !isOwn && (isNode || owner !== LOAD_BALANCER);
}

/** Returns the claims without the single addresses that lie within one of the blocks. */
function withoutCovered(claims: readonly PrefixClaim[]): readonly PrefixClaim[] {
  const blocks = claims.filter(({ prefix }) => !isSingleAddress(prefix));
  return claims.filter(({ prefix }) => !isSingleAddress(prefix) || !blocks.some(block => covers(block.prefix, prefix)));
}

export interface SealInput {
  /** The pods of all other nodes. */
  readonly pods: readonly PrefixClaim[];
  /** Those among them whose node is not encrypted. */
  readonly unencrypted: readonly PrefixClaim[];
  /** This node's own prefixes. */
  readonly own: readonly PrefixClaim[];
  /**
   * Addresses of all nodes. With fail-closed they stay reachable, and so does the control plane.
   */
  readonly hosts: Iterable<PrefixClaim>;
  readonly family: Family;
}

export interface Seal {
  /** Sorted by text. */
  readonly sealed: readonly Prefix[];
  /** The pods' prefixes that lie within no other, as a set, and their texts. */
  readonly outer: PrefixSet;
  readonly outerTexts: ReadonlySet<string>;
  /** Whether addresses within them are exempt. */
  readonly hasHoles: boolean;
  /** Host addresses within unreachable prefixes. They get a `throw` route, unless tunnelled. */
  readonly exempt: readonly PrefixClaim[];
}

/**
 * Returns the prefixes that the firewall seals: the pods of all other nodes. Encrypted nodes are
 * included, so that no packet leaves in the clear if the device and its routes disappear or another
 * program deletes the rule. Host addresses and local prefixes within the sealed prefixes are
 * exempt.
 */
export function seal({ pods, unencrypted, own, hosts, family }: SealInput): Seal {
  const all = new PrefixSet(pods.map(({ prefix }) => prefix));
  const unreachable = new PrefixSet(unencrypted.map(({ prefix }) => prefix));
  const holes: Prefix[] = [];
  const exempt: PrefixClaim[] = [];
  for (const claim of hosts) {
    if (claim.family !== family || !all.covers(claim.prefix)) continue;
    holes.push(claim.prefix);
    if (unreachable.covers(claim.prefix)) exempt.push(claim);
  }
  for (const { prefix } of own) if (all.covers(prefix)) holes.push(prefix);
  const outer = outermost(pods.map(({ prefix }) => prefix));
  const hasHoles = holes.length > 0;
  const left = hasHoles ? outermost(pods.flatMap(({ prefix }) => withoutHoles(prefix, holes))) : outer;
  return { sealed: left.prefixes, outer: outer.set, outerTexts: outer.texts, hasHoles, exempt };
}

function withoutHoles(prefix: Prefix, holes: readonly Prefix[]): readonly Prefix[] {
  const inside = holes.filter(hole => covers(prefix, hole));
  return inside.length === 0 ? [prefix] : subtractPrefixes(prefix, inside);
}

interface Outermost {
  readonly prefixes: readonly Prefix[];
  readonly set: PrefixSet;
  readonly texts: ReadonlySet<string>;
}

/** Removes prefixes that lie within others, and sorts by text. */
function outermost(prefixes: readonly Prefix[]): Outermost {
  const kept = new PrefixSet();
  const outer: { readonly text: string; readonly prefix: Prefix }[] = [];
  for (const prefix of prefixes.toSorted((a, b) => a.length - b.length)) {
    if (kept.covers(prefix)) continue;
    kept.add(prefix);
    outer.push({ text: formatPrefix(prefix), prefix });
  }
  outer.sort((a, b) => (a.text < b.text ? -1 : 1));
  const texts = new Set(outer.map(({ text }) => text));
  return { prefixes: outer.map(({ prefix }) => prefix), set: kept, texts };
}
