/** What one node's prefixes come to in a plan, kept from one plan to the next for as long as they are the same. */
import type { Prefix } from '../../base/prefix.ts';
import type { DesiredPeer, DesiredRoute } from '../model/desired.ts';
import type { Claim } from './claims.ts';
import type { Credentials } from './standing.ts';

type RouteKind = DesiredRoute['kind'];

export class NodePart {
  readonly node: string;
  /** In the order of their text. */
  readonly claims: readonly Claim[];
  readonly #given: readonly Claim[];
  readonly #routes = new Map<Claim, DesiredRoute>();
  #allowedIps: readonly Prefix[] | undefined;
  #peer: { readonly of: Credentials; readonly peer: DesiredPeer } | undefined;

  constructor(node: string, given: readonly Claim[]) {
    this.node = node;
    this.#given = given;
    this.claims = given.toSorted((a, b) => (a.text < b.text ? -1 : 1));
  }

  /** Whether it is made of the very same claims; another order of them makes another, which is equal. */
  isOf(given: readonly Claim[]): boolean {
    return given.length === this.#given.length && given.every((claim, i) => claim === this.#given[i]);
  }

  route(claim: Claim, kind: RouteKind): DesiredRoute {
    const there = this.#routes.get(claim);
    if (there?.kind === kind) return there;
    const route: DesiredRoute = { destination: claim.prefix, kind };
    this.#routes.set(claim, route);
    return route;
  }

  /** @param of with key and address */
  peer(of: Credentials, endpointPort: number, persistentKeepalive: number): DesiredPeer {
    const there = this.#peer;
    if (
      there?.of === of &&
      there.peer.endpointPort === endpointPort &&
      there.peer.persistentKeepalive === persistentKeepalive
    )
      return there.peer;
    this.#allowedIps ??= this.claims.map(({ prefix }) => prefix);
    const peer: DesiredPeer = {
      node: this.node,
      publicKey: of.key!,
      endpointAddress: of.address!,
      endpointPort,
      persistentKeepalive,
      allowedIps: this.#allowedIps,
    };
    this.#peer = { of, peer };
    return peer;
  }
}
