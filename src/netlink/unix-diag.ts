/**
 * Who owns a UNIX socket, by its name in the abstract namespace (sock_diag(7)). A socket tells its
 * owner to those that connect to it, but one that does not listen, or whose queue is full,
 * accepts no connection.
 */
import { sameBytes } from '../base/bytes.ts';
import { attributesAfter } from './attributes.ts';
import { setU32 } from './native-order.ts';
import { NETLINK_SOCK_DIAG, type NetlinkPort } from './port.ts';
import { NetlinkSocket } from './socket.ts';

export interface SocketOwner {
  /** The user id; undefined before Linux 5.3, which does not tell it. */
  readonly user: number | undefined;
}

const SOCK_DIAG_BY_FAMILY = 20;
const AF_UNIX = 1;
/** struct unix_diag_req: family, protocol, padding, states, inode, what to show, cookie. */
const REQUEST_SIZE = 24;
const STATES_AT = 4;
const SHOW_AT = 12;
/** TCP_CLOSE (has a name, does not listen) and TCP_LISTEN: accepted connections share the name. */
const STATES = (1 << 7) | (1 << 10);
const SHOW_NAME_AND_USER = 0x41;
/** struct unix_diag_msg. */
const HEADER_SIZE = 16;
const ATTRIBUTE = { name: 0, user: 7 } as const;

/**
 * Finds the owner of a name in this network namespace.
 * @param name the bytes of the name, with the zero at its beginning
 * @returns undefined if no socket has the name
 * @throws NetlinkError if the kernel does not list sockets
 */
export async function unixSocketOwner(port: NetlinkPort, name: Uint8Array): Promise<SocketOwner | undefined> {
  const request = new Uint8Array(REQUEST_SIZE);
  request[0] = AF_UNIX;
  setU32(request, STATES_AT, STATES);
  setU32(request, SHOW_AT, SHOW_NAME_AND_USER);
  const socket = new NetlinkSocket(port, NETLINK_SOCK_DIAG);
  try {
    for (const { body } of await socket.dump('listing UNIX sockets', SOCK_DIAG_BY_FAMILY, request)) {
      const attributes = attributesAfter(HEADER_SIZE, body, 'a UNIX socket');
      const has = attributes.bytes(ATTRIBUTE.name);
      if (has && sameBytes(has, name)) return { user: attributes.u32(ATTRIBUTE.user) };
    }
    return undefined;
  } finally {
    socket.close();
  }
}
