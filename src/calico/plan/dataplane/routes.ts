/**
 * Plans the tunnel's route table (docs/reference/calico-felix.md#routes):
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

export interface RoutesInput {
  readonly family: Family;
  readonly nodeName: string;
  /** Prefixes by owner, in order of name. Owners need not be nodes. */
  readonly prefixes: ReadonlyMap<string, NodePrefixes>;
  readonly encrypted: ReadonlySet<string>;
  readonly isNode: (name: string) => boolean;
  readonly failClosed: boolean;
  /**
   * Addresses of all nodes. With fail-closed they stay reachable, and so does the control plane.
   */
  readonly hosts: () => Iterable<PrefixClaim>;
}

export interface Routes {
  readonly routes: ReadonlyMap<string, DesiredRoute>;
  readonly sealed: readonly Prefix[];
}

/** Owner of the blocks that provide addresses for LoadBalancer Services. Pods never use them. */
const LOAD_BALANCER = 'load-balancer';

/** Returns the routes of one family, and with fail-closed the prefixes that the firewall seals. */
export function planRoutes(input: RoutesInput): Routes {
  const { nodeName, prefixes, encrypted, failClosed } = input;
  const routes = new Map<string, DesiredRoute>();
  const pods: PrefixClaim[] = [];
  const unencrypted: PrefixClaim[] = [];
  for (const [name, owned] of prefixes) {
    if (name === nodeName) {
      for (const claim of withoutCovered(owned.claims)) routes.set(claim.text, owned.route(claim, 'throw'));
      continue;
    }
    const isPeer = encrypted.has(name);
    const sealsPods = failClosed && (input.isNode(name) || name !== LOAD_BALANCER);
    for (const claim of owned.claims) {
      const isSealed = sealsPods && !claim.host;
      const kind = isPeer ? 'tunnel' : isSealed ? 'unreachable' : 'throw';
      if (isSealed) pods.push(claim);
      if (kind === 'unreachable') unencrypted.push(claim);
      // Without the tunnel, hosts are reached in the clear, because restoring the tunnel may depend
      // on them.
      const orElse = kind === 'tunnel' && !claim.host ? 'unreachable' : undefined;
      routes.set(claim.text, owned.route(claim, kind, orElse));
    }
  }
  return { routes, sealed: pods.length === 0 ? [] : seal(input, pods, unencrypted, routes) };
}

/** Returns the claims without the single addresses that lie within one of the blocks. */
function withoutCovered(claims: readonly PrefixClaim[]): readonly PrefixClaim[] {
  const blocks = claims.filter(({ prefix }) => !isSingleAddress(prefix));
  return claims.filter(({ prefix }) => !isSingleAddress(prefix) || !blocks.some(block => covers(block.prefix, prefix)));
}

/**
 * Returns the prefixes that the firewall seals: the pods of all other nodes. Encrypted nodes are
 * included, so that no packet leaves in the clear if the device and its routes disappear or another
 * program deletes the rule. Host addresses and local prefixes within the sealed prefixes are
 * exempt. Host addresses within unreachable prefixes get a `throw` route.
 */
function seal(
  input: RoutesInput,
  pods: readonly PrefixClaim[],
  unencrypted: readonly PrefixClaim[],
  routes: Map<string, DesiredRoute>,
): readonly Prefix[] {
  const all = new PrefixSet(pods.map(({ prefix }) => prefix));
  const unreachable = new PrefixSet(unencrypted.map(({ prefix }) => prefix));
  const holes: Prefix[] = [];
  for (const { prefix, text, family } of input.hosts()) {
    if (family !== input.family || !all.covers(prefix)) continue;
    holes.push(prefix);
    if (unreachable.covers(prefix) && routes.get(text)?.kind !== 'tunnel')
      routes.set(text, { destination: prefix, kind: 'throw' });
  }
  for (const { prefix } of input.prefixes.get(input.nodeName)?.claims ?? []) if (all.covers(prefix)) holes.push(prefix);
  const left = pods.flatMap(({ prefix }) => {
    const inside = holes.filter(hole => covers(prefix, hole));
    return inside.length === 0 ? [prefix] : subtractPrefixes(prefix, inside);
  });
  return outermost(left);
}

/** Removes prefixes that lie within others, and sorts by text. */
function outermost(prefixes: readonly Prefix[]): readonly Prefix[] {
  const kept = new PrefixSet();
  const outer: { readonly text: string; readonly prefix: Prefix }[] = [];
  for (const prefix of prefixes.toSorted((a, b) => a.length - b.length)) {
    if (kept.covers(prefix)) continue;
    kept.add(prefix);
    outer.push({ text: formatPrefix(prefix), prefix });
  }
  return outer.sort((a, b) => (a.text < b.text ? -1 : 1)).map(({ prefix }) => prefix);
}
