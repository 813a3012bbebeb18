/**
 * Whom this node speaks WireGuard with in a family (docs/reference/calico-felix.md#allowed-ips, #eligible-peers): every other node with a key that is its alone and an address.
 * Of nodes with the same key none is a peer, and neither is one with ours. The node itself is never its own peer.
 */
import type { Family } from '../../../base/family.ts';
import type { DesiredPeer } from '../../model/desired.ts';
import type { Problem } from '../../model/problem.ts';
import type { PeerState } from '../../model/status.ts';
import { type Credentials, keySharers, plainReason, type Standing, standingProblem } from './eligibility.ts';
import type { NodePart } from './node-prefixes.ts';
import type { OwnAddressCheck } from './own-addresses.ts';

export interface PeersInput {
  readonly family: Family;
  readonly nodeName: string;
  /** base64. */
  readonly ownKey: string | undefined;
  /** Of the other nodes, in the order of their names. */
  readonly credentials: ReadonlyMap<string, Credentials>;
  /** Of each of them. */
  readonly parts: ReadonlyMap<string, NodePart>;
  readonly isDisabled: (node: string) => boolean;
  /** What an address is that is this node's own, or reaches it. */
  readonly whyOurs: OwnAddressCheck;
  readonly port: number;
  readonly keepalive: number;
}

export interface Peers {
  readonly peers: ReadonlyMap<string, DesiredPeer>;
  /** Names of the nodes that are encrypted. */
  readonly encrypted: ReadonlySet<string>;
  readonly states: readonly PeerState[];
  readonly problems: readonly Problem[];
}

export function planPeers(input: PeersInput): Peers {
  const { family, nodeName, ownKey, credentials, parts, port, keepalive } = input;
  const sharers = keySharers(credentials);
  const isClaimedTwice = (key: string) => key === ownKey || sharers.has(key);
  const peers = new Map<string, DesiredPeer>();
  const encrypted = new Set<string>();
  const states: PeerState[] = [];
  const problems: Problem[] = [];
  for (const [node, said] of credentials) {
    const ours =
      said.unusable === undefined && said.address ? input.whyOurs(said.address, said.address.join()) : undefined;
    const own = ours === undefined ? said : { ...said, unusable: ours };
    const part = parts.get(node)!;
    const plain = plainReason(own, isClaimedTwice, () => input.isDisabled(node));
    if (plain === undefined) {
      encrypted.add(node);
      peers.set(own.keyText!, part.peer(own, port, keepalive));
    } else {
      const standing: Standing = { ...own, plain };
      const claimants = [...(sharers.get(own.keyText ?? '') ?? [node]), ...(own.keyText === ownKey ? [nodeName] : [])];
      const found = standingProblem(node, family, standing, claimants);
      if (found) problems.push(found);
    }
    states.push(part.state(own, plain));
  }
  return { peers, encrypted, states, problems };
}
