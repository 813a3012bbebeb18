/**
 * Status of other nodes as planned on one node, for the log, `/readyz`, the metrics and `wgts
 * verify`.
 */

/** Why traffic with a node is not encrypted in a family. */
export type PlainReason =
  /** WireGuard is disabled on either node. */
  | 'disabled'
  | 'no-key'
  | 'invalid-key'
  | 'duplicate-key'
  /** The node has no endpoint. */
  | 'no-node-address'
  /** The node's endpoint is loopback, multicast and the like, or an address of this node. */
  | 'unusable-node-address';

/** Another node as a plan sees it: encrypted, or in the clear and why. */
export interface PeerState {
  /** The node's name. */
  readonly node: string;
  /** Why traffic with the node is in the clear. Absent where it is encrypted. */
  readonly plain?: PlainReason;
  /** The node's key in base64, where it published a valid one. */
  readonly publicKey?: string;
  /** 4 or 16 bytes. Absent where the node has no usable address. */
  readonly endpointAddress?: Uint8Array;
  /** Number of prefixes that the node owns. */
  readonly prefixes: number;
}
