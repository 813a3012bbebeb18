/**
 * The netlink socket that the rest of src/netlink needs: whole datagrams to and from a kernel.
 * Adapters: the addon's AF_NETLINK socket (io/netlink.ts) and, for tests, a simulated kernel that
 * reads and writes the same bytes.
 */

export const NETLINK_ROUTE = 0;
export const NETLINK_SOCK_DIAG = 4;
export const NETLINK_NETFILTER = 12;
export const NETLINK_KOBJECT_UEVENT = 15;
export const NETLINK_GENERIC = 16;

/** Receives what a netlink socket reads. */
export interface NetlinkReceiver {
  /** Called with a datagram of one or more messages. The receiver owns the bytes. */
  datagram(bytes: Uint8Array): void;
  /**
   * Called after the kernel dropped datagrams, because the socket was read too slowly (ENOBUFS) or
   * the datagrams were too large. Everything sent before that has been received by then, so a
   * resync that begins after this call misses nothing.
   */
  lost(): void;
  /** Called when the socket can no longer be used. */
  failed(error: Error): void;
}

/** An open netlink socket. */
export interface NetlinkChannel {
  /**
   * Hands one datagram to the kernel, which has processed it when this function returns. The
   * answers reach the receiver later. The bytes may be overwritten afterwards.
   * @throws Error with `code` and `errno`
   */
  send(bytes: Uint8Array): void;
  /** Closes the socket. Nothing is received afterwards. Idempotent. */
  close(): void;
}

/** Opens netlink sockets: those of the machine (`systemNetlink`), or those of a test's kernel. */
export interface NetlinkPort {
  /**
   * Opens a socket.
   * @param protocol NETLINK_ROUTE and the like (netlink(7))
   * @param groups numbers of multicast groups to join
   * @throws Error with `code` and `errno`
   */
  open(protocol: number, groups: readonly number[], receiver: NetlinkReceiver): NetlinkChannel;
}
