/** What one node's prefixes come to in a plan, kept from one plan to the next for as long as they are the same. */
import type { Prefix } from '../../../base/prefix.ts';
import type { DesiredPeer, DesiredRoute } from '../../model/desired.ts';
import type { PeerState, PlainReason } from '../../model/status.ts';
import type { Credentials } from './eligibility.ts';
import type { Claim } from './prefix-claims.ts';

type RouteKind = DesiredRoute['kind'];

export class NodePart {
  readonly node: string;
  /** In the order of their text. */
  readonly claims: readonly Claim[];
  readonly #given: readonly Claim[];
  readonly #withHosts: boolean;
  readonly #routes = new Map<Claim, DesiredRoute>();
  #allowedIps: readonly Prefix[] | undefined;
  #state: PeerState | undefined;
  #peer: { readonly of: Credentials; readonly peer: DesiredPeer } | undefined;

  /** @param withHosts whether the node's own addresses are among its prefixes */
  constructor(node: string, given: readonly Claim[], withHosts: boolean) {
    this.node = node;
    this.#given = given;
    this.#withHosts = withHosts;
    this.claims = given.filter(({ host }) => withHosts || !host).sort((a, b) => (a.text < b.text ? -1 : 1));
  }

  /** Whether it is made of the very same list. */
  isOf(given: readonly Claim[], withHosts: boolean): boolean {
    return given === this.#given && withHosts === this.#withHosts;
  }

  route(claim: Claim, kind: RouteKind, orElse?: DesiredRoute['orElse']): DesiredRoute {
    const there = this.#routes.get(claim);
    if (there?.kind === kind && there.orElse === orElse) return there;
    const route: DesiredRoute = { destination: claim.prefix, kind, ...(orElse && { orElse }) };
    this.#routes.set(claim, route);
    return route;
  }

  state({ keyText, address }: Credentials, plain: PlainReason | undefined): PeerState {
    const there = this.#state;
    if (there && there.plain === plain && there.publicKey === keyText && there.endpointAddress === address)
      return there;
    const state: PeerState = {
      node: this.node,
      ...(plain && { plain }),
      ...(keyText !== undefined && { publicKey: keyText }),
      ...(address && { endpointAddress: address }),
      prefixes: this.claims.length,
    };
    this.#state = state;
    return state;
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
