/**
 * The table of the tunnel (docs/reference/calico-felix.md#routes): into it to encrypted nodes; `throw`, as if the table were not, for what is known and is not
 * encrypted, and for what is local, as it may lie within what goes into the tunnel; with fail-closed nowhere at all for pods that are not encrypted,
 * and no way but the tunnel for all others. Where the tunnel is gone, and its routes with it, what led to pods by it leads nowhere.
 */
import type { Family } from '../../../base/family.ts';
import { covers, formatPrefix, type Prefix } from '../../../base/prefix.ts';
import { PrefixSet } from '../../../base/prefix-set.ts';
import type { DesiredRoute } from '../../model/desired.ts';
import type { NodePart } from '../peers/node-prefixes.ts';
import type { Claim } from '../peers/prefix-claims.ts';
import { isSingle, without } from '../peers/prefix-sets.ts';

export interface RoutesInput {
  readonly family: Family;
  readonly nodeName: string;
  /** Of all that have prefixes, nodes or not, in the order of their names. */
  readonly parts: ReadonlyMap<string, NodePart>;
  readonly encrypted: ReadonlySet<string>;
  readonly isNode: (name: string) => boolean;
  readonly failClosed: boolean;
  /** The addresses of all nodes, for fail-closed: hosts stay reachable, and with them the control plane. */
  readonly hosts: () => Iterable<Claim>;
}

export interface Routes {
  readonly routes: ReadonlyMap<string, DesiredRoute>;
  readonly sealed: readonly Prefix[];
}

/** Owner of the blocks from which Services of type LoadBalancer get their addresses: they are no pods'. */
const LOAD_BALANCER = 'load-balancer';

export function planRoutes(input: RoutesInput): Routes {
  const { nodeName, parts, encrypted, failClosed } = input;
  const routes = new Map<string, DesiredRoute>();
  const pods: Claim[] = [];
  const unencrypted: Claim[] = [];
  for (const [name, part] of parts) {
    if (name === nodeName) {
      for (const claim of uncovered(part.claims)) routes.set(claim.text, part.route(claim, 'throw'));
      continue;
    }
    const isPeer = encrypted.has(name);
    const seals = failClosed && (input.isNode(name) || name !== LOAD_BALANCER);
    for (const claim of part.claims) {
      const sealed = seals && !claim.host;
      const kind = isPeer ? 'tunnel' : sealed ? 'unreachable' : 'throw';
      if (sealed) pods.push(claim);
      if (kind === 'unreachable') unencrypted.push(claim);
      // hosts are reached in the clear then, as what brings the tunnel back may come from them
      const orElse = kind === 'tunnel' && !claim.host ? 'unreachable' : undefined;
      routes.set(claim.text, part.route(claim, kind, orElse));
    }
  }
  return { routes, sealed: pods.length === 0 ? [] : seal(input, pods, unencrypted, routes) };
}

/** Of the local ones: whole blocks, and single addresses that are in none of them. */
function uncovered(claims: readonly Claim[]): readonly Claim[] {
  const blocks = claims.filter(({ prefix }) => !isSingle(prefix));
  return claims.filter(({ prefix }) => !isSingle(prefix) || !blocks.some(block => covers(block.prefix, prefix)));
}

/**
 * All pods elsewhere, those of encrypted nodes too: should their routes go with the tunnel's link, or somebody remove the rule, nothing goes out.
 * Hosts within what is sealed, and what of it is ours, are let out of it.
 */
function seal(
  input: RoutesInput,
  pods: readonly Claim[],
  unencrypted: readonly Claim[],
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
  for (const { prefix } of input.parts.get(input.nodeName)?.claims ?? []) if (all.covers(prefix)) holes.push(prefix);
  const left = pods.flatMap(({ prefix }) => {
    const inside = holes.filter(hole => covers(prefix, hole));
    return inside.length === 0 ? [prefix] : without(prefix, inside);
  });
  return outermost(left);
}

/** Without what lies in others, in the order of their text. */
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
