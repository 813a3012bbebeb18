/**
 * Plans this node's peers of one family (docs/reference/calico-felix.md#allowed-ips,
 * #eligible-peers): which other nodes it exchanges encrypted traffic with, and why it does not do
 * so with the others.
 *
 * A node becomes a peer if it publishes an address and a key that is not this node's, and that no
 * other node had before (key-owners.ts). This node is never its own peer.
 */
import type { Family } from '../../../base/family.ts';
import type { DesiredPeer } from '../../model/desired.ts';
import type { Problem } from '../../model/problem.ts';
import type { PeerState } from '../../model/status.ts';
import { type Credentials, type Eligibility, eligibilityProblem, plainReason } from './eligibility.ts';
import type { NodePrefixes } from './node-prefixes.ts';
import type { OwnAddressCheck } from './own-addresses.ts';

export interface PeersInput {
  readonly family: Family;
  readonly nodeName: string;
  /** This node's public key in base64. */
  readonly ownKey: string | undefined;
  /** Credentials of the other nodes, in order of name. */
  readonly credentials: ReadonlyMap<string, Credentials>;
  /** Returns the node to which a published key belongs. */
  readonly keyOwner: (keyText: string) => string | undefined;
  /** Prefixes by node; contains every node in `credentials`. */
  readonly prefixes: ReadonlyMap<string, NodePrefixes>;
  readonly isDisabled: (node: string) => boolean;
  /** Describes an address that belongs to this node or leads back to it. */
  readonly describeOwnAddress: OwnAddressCheck;
  readonly port: number;
  readonly keepalive: number;
}

export interface Peers {
  /** By public key in base64. */
  readonly peers: ReadonlyMap<string, DesiredPeer>;
  /** Names of the nodes that are peers. */
  readonly encrypted: ReadonlySet<string>;
  readonly states: readonly PeerState[];
  readonly problems: readonly Problem[];
}

/** Decides for every other node whether it becomes a peer. */
export function planPeers(input: PeersInput): Peers {
  const { family, nodeName, credentials, prefixes, port, keepalive } = input;
  const keyOwner = (key: string) => (key === input.ownKey ? nodeName : input.keyOwner(key));
  const peers = new Map<string, DesiredPeer>();
  const encrypted = new Set<string>();
  const states: PeerState[] = [];
  const problems: Problem[] = [];
  for (const [node, published] of credentials) {
    const { address, unusable } = published;
    const ownAddress =
      unusable === undefined && address ? input.describeOwnAddress(address, address.join()) : undefined;
    const checked = ownAddress === undefined ? published : { ...published, unusable: ownAddress };
    const nodePrefixes = prefixes.get(node)!;
    const plain = plainReason(
      checked,
      key => keyOwner(key) !== node,
      () => input.isDisabled(node),
    );
    if (plain === undefined) {
      encrypted.add(node);
      peers.set(checked.keyText!, nodePrefixes.peer(checked, port, keepalive));
    } else {
      const eligibility: Eligibility = { ...checked, plain };
      const problem = eligibilityProblem(node, family, eligibility, keyOwner(checked.keyText ?? ''));
      if (problem) problems.push(problem);
    }
    states.push(nodePrefixes.state(checked, plain));
  }
  return { peers, encrypted, states, problems };
}
