/**
 * Plans peers and routes of one family, and with fail-closed what the firewall seals. Each update
 * plans only the nodes that changed, and those that a change of another node concerns: nodes with
 * the same key, and nodes that gained or lost a prefix. It plans all nodes again if a setting
 * changed. Sealed prefixes overlap, so they are computed from all nodes, but only if a change
 * concerns them.
 */
import type { Family } from '../../../base/family.ts';
import type { Prefix } from '../../../base/prefix.ts';
import { changedKeys, VersionedMap } from '../../../base/versioned-map.ts';
import type { Cluster, ClusterNode } from '../../model/cluster.ts';
import type { DesiredPeer, DesiredRoute } from '../../model/desired.ts';
import type { Problem } from '../../model/problem.ts';
import type { PeerState } from '../../model/status.ts';
import { type RouteRole, routedClaims, routeOf, type Seal, seal, sealsPods } from '../dataplane/routes.ts';
import { type Credentials, readCredentials } from '../peers/eligibility.ts';
import { KeyOwners, type Remembered } from '../peers/key-owners.ts';
import { NodePrefixes } from '../peers/node-prefixes.ts';
import { type PeerSettings, planPeer } from '../peers/peers.ts';
import type { PrefixClaim } from '../peers/prefix-claims.ts';
import type { PrefixOwners } from '../peers/prefix-owners.ts';
import type { BelievedClaims } from '../trust/believed-claims.ts';
import { PeerStates } from './peer-states.ts';

export interface FamilySettings extends PeerSettings {
  readonly encryptsHosts: boolean;
  readonly failClosed: boolean;
}

/** A node, or another owner of prefixes, as last planned. */
interface Row {
  readonly prefixes: NodePrefixes;
  readonly role: RouteRole;
  /** The claims that have a route. */
  readonly routed: readonly PrefixClaim[];
  /** The key of the peer. */
  readonly keyText?: string | undefined;
}

export class FamilyPlanner {
  readonly #family: Family;
  readonly #owners: PrefixOwners;
  readonly #sources: BelievedClaims;
  #settings: FamilySettings | undefined;
  #nodes: Cluster['nodes'] = new Map();
  readonly #credentials = new Map<string, Credentials>();
  readonly #keys = new KeyOwners();
  readonly #rows = new Map<string, Row>();
  readonly #problems = new Map<string, Problem>();
  readonly #states = new PeerStates();
  /** What is sealed; undefined before the first plan that fails closed. */
  #seal: Seal | undefined;
  #hostVersion = 0;
  #peers = new VersionedMap<string, DesiredPeer>();
  #routes = new VersionedMap<string, DesiredRoute>();

  constructor(family: Family, owners: PrefixOwners, sources: BelievedClaims) {
    this.#family = family;
    this.#owners = owners;
    this.#sources = sources;
  }

  /** By public key in base64. */
  get peers(): ReadonlyMap<string, DesiredPeer> {
    return this.#peers;
  }

  /** By prefix. */
  get routes(): ReadonlyMap<string, DesiredRoute> {
    return this.#routes;
  }

  get sealed(): readonly Prefix[] {
    return this.#seal?.sealed ?? [];
  }

  get states(): readonly PeerState[] {
    return this.#states.list;
  }

  get problems(): Iterable<Problem> {
    return this.#problems.values();
  }

  /**
   * Plans the cluster. The owners of prefixes must have been updated before.
   * @param settings the same object as in the last update if nothing in it changed
   * @param remembered the node that published each key first
   * @returns the number of nodes that were planned
   */
  update(nodes: Cluster['nodes'], settings: FamilySettings, remembered?: Remembered): number {
    const changed = changedKeys(this.#nodes, nodes);
    this.#nodes = nodes;
    const reassigned = this.#owners.takeChanged(this.#family);
    const dirty = new Set([...changed, ...reassigned]);
    for (const sharer of this.#keys.remember(remembered)) dirty.add(sharer);
    for (const name of changed) for (const sharer of this.#readCredentials(name, settings)) dirty.add(sharer);
    const isEverything = settings !== this.#settings;
    const includesHosts = settings.encryptsHosts;
    const rebuilds = isEverything && includesHosts !== this.#settings?.encryptsHosts;
    this.#settings = settings;
    if (isEverything) {
      // An owner may have had no row, because its prefixes did not count.
      const owners = this.#owners.names(this.#family);
      for (const name of [...nodes.keys(), ...this.#rows.keys(), ...owners]) dirty.add(name);
    }

    const rows = new Map<string, Row | undefined>();
    const peers = new Map<string, DesiredPeer | undefined>();
    const states = new Map<string, PeerState | undefined>();
    // In order of name, so that a first plan lists its peers in this order.
    for (const name of [...dirty].sort()) {
      const known = rebuilds || reassigned.has(name) ? undefined : this.#rows.get(name)?.prefixes;
      rows.set(name, this.#plan(name, settings, known, peers, states));
    }
    const isSealChanged = settings.failClosed && (this.#changesSeal(rows, settings) || isEverything);
    const routes = this.#changeRoutes(rows);
    if (settings.failClosed) this.#reseal(settings, isSealChanged, routes);
    this.#routes = this.#routes.with(routes);
    this.#peers = this.#peers.with(peers);
    this.#states.update(states);
    return dirty.size;
  }

  /** Reads a changed node's credentials. @returns the nodes that share its old or new key */
  #readCredentials(name: string, { nodeName }: FamilySettings): readonly string[] {
    if (name === nodeName) return [];
    const node = this.#nodes.get(name);
    const after = node && readCredentials(node, this.#family);
    if (after) this.#credentials.set(name, after);
    else this.#credentials.delete(name);
    return this.#keys.move(name, after?.keyText);
  }

  /** Plans one node. @returns undefined if it is no node and owns nothing */
  #plan(
    name: string,
    settings: FamilySettings,
    known: NodePrefixes | undefined,
    peers: Map<string, DesiredPeer | undefined>,
    states: Map<string, PeerState | undefined>,
  ): Row | undefined {
    const node = this.#nodes.get(name);
    const { nodeName, encryptsHosts, failClosed } = settings;
    const prefixes = known ?? new NodePrefixes(name, this.#owners.claimsOf(this.#family, name), encryptsHosts);
    const isOwn = name === nodeName;
    const planned = node && !isOwn ? this.#planPeer(node, settings, prefixes) : undefined;
    const before = this.#rows.get(name)?.keyText;
    // Another node may have this key now.
    if (before !== undefined && before !== planned?.keyText && !peers.get(before)) peers.set(before, undefined);
    if (planned?.peer) peers.set(planned.keyText!, planned.peer);
    states.set(name, planned?.state);
    if (planned?.problem) this.#problems.set(name, planned.problem);
    else this.#problems.delete(name);
    if (!node && prefixes.claims.length === 0) return undefined;
    const role = { isOwn, isPeer: planned?.peer !== undefined, isNode: node !== undefined, failClosed };
    return { prefixes, role, routed: routedClaims(prefixes, role), keyText: planned?.keyText };
  }

  #planPeer(node: ClusterNode, settings: FamilySettings, prefixes: NodePrefixes): ReturnType<typeof planPeer> {
    const ownerOf = (key: string) => this.#keys.ownerOf(key, this.#nodes);
    return planPeer(settings, node, this.#credentials.get(node.name)!, ownerOf, prefixes);
  }

  /** Takes over the planned rows, and returns the changes of routes. */
  #changeRoutes(rows: ReadonlyMap<string, Row | undefined>): Map<string, DesiredRoute | undefined> {
    const routes = new Map<string, DesiredRoute | undefined>();
    // First all removals: a prefix may have gone to another node.
    for (const name of rows.keys())
      for (const { text } of this.#rows.get(name)?.routed ?? []) routes.set(text, undefined);
    for (const [name, row] of rows) {
      for (const claim of row?.routed ?? [])
        routes.set(claim.text, routeOf(claim, row!.role, this.#routes.get(claim.text)));
      if (row) this.#rows.set(name, row);
      else this.#rows.delete(name);
    }
    return routes;
  }

  /** Computes what is sealed, if the changed rows concern it, and adds the routes of exemptions. */
  #reseal({ nodeName }: FamilySettings, isSealChanged: boolean, routes: Map<string, DesiredRoute | undefined>): void {
    if (isSealChanged) {
      const pods: PrefixClaim[] = [];
      const unencrypted: PrefixClaim[] = [];
      for (const [name, row] of this.#rows)
        for (const claim of sealedPods(name, row)) {
          pods.push(claim);
          if (!row.role.isPeer) unencrypted.push(claim);
        }
      const own = this.#rows.get(nodeName)?.prefixes.claims ?? [];
      const before = this.#seal?.exempt ?? [];
      this.#seal = seal({ pods, unencrypted, own, hosts: this.#sources.hosts(), family: this.#family });
      const exempt = new Set(this.#seal.exempt.map(({ text }) => text));
      if (before.some(({ text }) => !exempt.has(text) && !routes.has(text))) this.#restoreRoutes(routes);
    }
    for (const { text, prefix } of this.#seal?.exempt ?? []) {
      const route = routes.has(text) ? routes.get(text) : this.#routes.get(text);
      if (route?.kind !== 'tunnel') routes.set(text, { destination: prefix, kind: 'throw' });
    }
  }

  /** Returns whether changed rows and nodes can change what is sealed. */
  #changesSeal(rows: ReadonlyMap<string, Row | undefined>, { nodeName }: FamilySettings): boolean {
    const seal = this.#seal;
    const { hostVersion, changedHosts } = this.#sources;
    const missed = hostVersion - this.#hostVersion;
    this.#hostVersion = hostVersion;
    // Exemptions depend on all nodes. After several changes only the last one is known.
    if (!seal || seal.hasHoles) return rows.size > 0 || missed > 0;
    if (missed > 1) return true;
    const isWithin = ({ prefix, family }: PrefixClaim): boolean => family === this.#family && seal.outer.covers(prefix);
    if (missed === 1) for (const name of changedHosts) if (this.#sources.hostsOf(name).some(isWithin)) return true;
    const changes = new Map<string, { readonly claim: PrefixClaim; count: number }>();
    const count = (claims: readonly PrefixClaim[], by: number): void => {
      for (const claim of claims) {
        const known = changes.get(claim.text);
        if (known) known.count += by;
        else changes.set(claim.text, { claim, count: by });
      }
    };
    for (const [name, row] of rows) {
      if (name === nodeName && row?.prefixes.claims.some(isWithin)) return true;
      const before = this.#rows.get(name);
      if (before) count(sealedPods(name, before), -1);
      if (row) count(sealedPods(name, row), 1);
    }
    // A prefix within another one seals nothing of its own.
    return [...changes].some(
      ([text, { claim, count }]) => count !== 0 && (seal.outerTexts.has(text) || !isWithin(claim)),
    );
  }

  /** Restores the routes that exemptions replaced. */
  #restoreRoutes(routes: Map<string, DesiredRoute | undefined>): void {
    for (const text of this.#routes.keys()) routes.set(text, undefined);
    for (const { routed, role } of this.#rows.values())
      for (const claim of routed) routes.set(claim.text, routeOf(claim, role, this.#routes.get(claim.text)));
  }
}

/** Returns the claims that fail-closed seals, of one owner. */
function sealedPods(name: string, { prefixes, role }: Row): readonly PrefixClaim[] {
  return sealsPods(name, role) ? prefixes.claims.filter(({ host }) => !host) : [];
}
