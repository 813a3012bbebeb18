/**
 * One node's prefixes, and the peer and state computed from them. Later plans reuse an instance
 * while its claims stay the same. The instance returns identical objects while their inputs stay
 * the same.
 */
import type { Prefix } from '../../../base/prefix.ts';
import type { DesiredPeer } from '../../model/desired.ts';
import type { PeerState, PlainReason } from '../../model/status.ts';
import type { Credentials } from './eligibility.ts';
import type { PrefixClaim } from './prefix-claims.ts';

export class NodePrefixes {
  readonly node: string;
  /** The node's effective claims, sorted by their text. */
  readonly claims: readonly PrefixClaim[];
  #allowedIps: readonly Prefix[] | undefined;
  #state: PeerState | undefined;
  #peer: { readonly credentials: Credentials; readonly peer: DesiredPeer } | undefined;

  /** @param includesHosts whether the node's own addresses are among its prefixes */
  constructor(node: string, source: readonly PrefixClaim[], includesHosts: boolean) {
    this.node = node;
    this.claims = source.filter(({ host }) => includesHosts || !host).sort((a, b) => (a.text < b.text ? -1 : 1));
  }

  /** Returns the node's state for status reports. */
  state({ keyText, address }: Credentials, plain: PlainReason | undefined): PeerState {
    const cached = this.#state;
    if (cached && cached.plain === plain && cached.publicKey === keyText && cached.endpointAddress === address)
      return cached;
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

  /**
   * Returns the node as a peer.
   * @param credentials must contain key and address
   */
  peer(credentials: Credentials, endpointPort: number, persistentKeepalive: number): DesiredPeer {
    const cached = this.#peer;
    if (
      cached?.credentials === credentials &&
      cached.peer.endpointPort === endpointPort &&
      cached.peer.persistentKeepalive === persistentKeepalive
    )
      return cached.peer;
    this.#allowedIps ??= this.claims.map(({ prefix }) => prefix);
    const peer: DesiredPeer = {
      node: this.node,
      publicKey: credentials.key!,
      endpointAddress: credentials.address!,
      endpointPort,
      persistentKeepalive,
      allowedIps: this.#allowedIps,
    };
    this.#peer = { credentials, peer };
    return peer;
  }
}
