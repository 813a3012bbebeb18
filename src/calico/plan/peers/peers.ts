/**
 * Plans a peer of one family (docs/reference/calico-felix.md#allowed-ips, #eligible-peers): whether
 * this node exchanges encrypted traffic with another node, and why it does not.
 *
 * A node becomes a peer if it publishes an address and a key that is not this node's, and that no
 * other node had before (key-owners.ts). This node is never its own peer.
 */
import type { Family } from '../../../base/family.ts';
import type { ClusterNode } from '../../model/cluster.ts';
import type { DesiredPeer } from '../../model/desired.ts';
import type { Problem } from '../../model/problem.ts';
import type { PeerState } from '../../model/status.ts';
import { type Credentials, type Eligibility, eligibilityProblem, plainReason } from './eligibility.ts';
import type { NodePrefixes } from './node-prefixes.ts';
import type { OwnAddressCheck } from './own-addresses.ts';

/** What the plan of every peer depends on. */
export interface PeerSettings {
  readonly family: Family;
  readonly nodeName: string;
  /** This node's public key in base64. */
  readonly ownKey: string | undefined;
  readonly isEnabledOn: (node: ClusterNode) => boolean;
  /** Describes an address that belongs to this node or leads back to it. */
  readonly describeOwnAddress: OwnAddressCheck;
  readonly port: number;
  readonly keepalive: number;
}

export interface PlannedPeer {
  /** The peer, and its public key in base64; absent if the node is not a peer. */
  readonly peer?: DesiredPeer;
  readonly keyText?: string;
  readonly state: PeerState;
  readonly problem?: Problem;
}

/**
 * Decides whether another node becomes a peer.
 * @param published what the node publishes
 * @param ownerOf returns the node, other than this one, to which a published key belongs
 */
export function planPeer(
  settings: PeerSettings,
  node: ClusterNode,
  published: Credentials,
  ownerOf: (keyText: string) => string | undefined,
  prefixes: NodePrefixes,
): PlannedPeer {
  const { family, nodeName, ownKey, port, keepalive } = settings;
  const { address, unusable } = published;
  const ownAddress =
    unusable === undefined && address ? settings.describeOwnAddress(address, address.join()) : undefined;
  const checked = ownAddress === undefined ? published : { ...published, unusable: ownAddress };
  const keyOwner = (key: string) => (key === ownKey ? nodeName : ownerOf(key));
  const isKeyOfOther = (key: string) => keyOwner(key) !== node.name;
  const plain = plainReason(checked, isKeyOfOther, () => !settings.isEnabledOn(node));
  const state = prefixes.state(checked, plain);
  if (plain === undefined) return { peer: prefixes.peer(checked, port, keepalive), keyText: checked.keyText!, state };
  const eligibility: Eligibility = { ...checked, plain };
  const problem = eligibilityProblem(node.name, family, eligibility, keyOwner(checked.keyText ?? ''));
  return { state, ...(problem && { problem }) };
}
