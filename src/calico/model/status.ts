/** Who is encrypted with whom, as the plan sees it from one node: for the log, `/readyz`, the metrics and `wgts verify`. */

/** Why traffic with a node is not encrypted in a family. */
export type PlainReason =
  /** The family is off on this node, or on that one (`node.<name>`). */
  | 'disabled'
  | 'no-key'
  | 'invalid-key'
  | 'duplicate-key'
  /** Nowhere to send to. */
  | 'no-node-address'
  /** Nowhere to send to either: loopback, multicast and the like, or an address of this node. */
  | 'unusable-node-address';

export interface PeerState {
  readonly node: string;
  /** Absent: encrypted. */
  readonly plain?: PlainReason;
  /** base64, where it is a key. */
  readonly publicKey?: string;
  readonly endpointAddress?: Uint8Array;
  /** Number of prefixes that are its. */
  readonly prefixes: number;
}
