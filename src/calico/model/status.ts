/**
 * The status of other nodes, as one node plans it: for the log, `/readyz`, the metrics and `wgts
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
  /** The node's endpoint is reserved (loopback, multicast, ...) or leads back to this node. */
  | 'unusable-node-address';

/** The state of another node in a plan: encrypted, or in the clear for a reason. */
export interface PeerState {
  /** The node's name. */
  readonly node: string;
  /** Why traffic with the node is in the clear. Absent if it is encrypted. */
  readonly plain?: PlainReason;
  /** The node's key in base64, if it published a valid one. */
  readonly publicKey?: string;
  /** 4 or 16 bytes. Absent if the node has no usable address. */
  readonly endpointAddress?: Uint8Array;
  /** Number of prefixes that the node owns. */
  readonly prefixes: number;
}
