/**
 * A netlink socket as the rest of src/netlink needs it: whole datagrams to and from a kernel. Adapters: the addon's AF_NETLINK
 * (io/netlink.ts) and, for tests, a kernel of our own that reads and answers with the same bytes.
 */

export const NETLINK_ROUTE = 0;
export const NETLINK_NETFILTER = 12;
export const NETLINK_GENERIC = 16;

export interface NetlinkReceiver {
  /** A datagram of one or more messages. The bytes are the receiver's. */
  datagram(bytes: Uint8Array): void;
  /**
   * Some that were meant for this socket are gone, because it was not read fast enough (ENOBUFS) or they were too large. Said
   * when all that came before was received, so that nothing more is missing but what this says.
   */
  lost(): void;
  /** The socket is of no use any more. */
  failed(error: Error): void;
}

export interface NetlinkChannel {
  /**
   * Hands the kernel one datagram; it has acted on it when this returns, its answers come to the receiver later. The bytes
   * may be overwritten then.
   * @throws Error with `code` and `errno`
   */
  send(bytes: Uint8Array): void;
  /** Nothing is received after this. Idempotent. */
  close(): void;
}

export interface NetlinkPort {
  /**
   * @param groups numbers of multicast groups to hear
   * @throws Error with `code` and `errno`
   */
  open(protocol: number, groups: readonly number[], receiver: NetlinkReceiver): NetlinkChannel;
}
