/**
 * The frame of every netlink message (RFC 3549 section 2.3.2, netlink(7)): a header of 16 bytes and
 * a body. A datagram may hold several messages, each padded to four bytes. Also decodes the two
 * messages that conclude a request: NLMSG_ERROR and NLMSG_DONE.
 */
import { Attributes } from './attributes.ts';
import { MalformedNetlink } from './errors.ts';
import { getI32, getU16, getU32, setU16, setU32 } from './native-order.ts';

export const HEADER_SIZE = 16;

/** The message types that all families share. */
export const MESSAGE = { noop: 1, error: 2, done: 3, overrun: 4, firstOfFamily: 16 } as const;

export const FLAG = {
  request: 0x1,
  multi: 0x2,
  ack: 0x4,
  /** On a message of a dump: the dumped objects changed during the dump. */
  dumpInterrupted: 0x10,
  dump: 0x300,
  replace: 0x100,
  exclusive: 0x200,
  create: 0x400,
  append: 0x800,
  /** On an error: the body of the request is not repeated. */
  capped: 0x100,
  /** On an error or the end of a dump: attributes with an explanation follow. */
  explained: 0x200,
} as const;

export interface NetlinkMessage {
  readonly type: number;
  readonly flags: number;
  readonly sequence: number;
  /**
   * The socket's port number. 0 is the kernel; in a request, 0 lets the kernel fill the number in.
   */
  readonly port: number;
  readonly body: Uint8Array;
}

/** The content of an error message, an acknowledgement (errno 0) or the end of a dump. */
export interface Verdict {
  /** The errno, positive; 0 for success. */
  readonly errno: number;
  readonly detail: string | undefined;
  readonly offset: number | undefined;
}

const DETAIL = { message: 1, offset: 2 } as const;

function align(length: number): number {
  return (length + 3) & ~3;
}

export function encodeMessage(message: NetlinkMessage): Uint8Array {
  const bytes = new Uint8Array(align(HEADER_SIZE + message.body.length));
  setU32(bytes, 0, HEADER_SIZE + message.body.length);
  setU16(bytes, 4, message.type);
  setU16(bytes, 6, message.flags);
  setU32(bytes, 8, message.sequence);
  setU32(bytes, 12, message.port);
  bytes.set(message.body, HEADER_SIZE);
  return bytes;
}

/**
 * Returns the messages of a datagram, in order.
 * @throws MalformedNetlink
 */
export function decodeMessages(datagram: Uint8Array): NetlinkMessage[] {
  const messages: NetlinkMessage[] = [];
  for (let at = 0; at < datagram.length; ) {
    const left = datagram.length - at;
    if (left < HEADER_SIZE)
      throw new MalformedNetlink(`a message's header has ${HEADER_SIZE} bytes; at byte ${at} only ${left} are left`);
    const length = getU32(datagram, at);
    if (length < HEADER_SIZE || length > left)
      throw new MalformedNetlink(
        `the message at byte ${at} claims ${length} bytes; ${HEADER_SIZE} to ${left} are possible`,
      );
    messages.push({
      type: getU16(datagram, at + 4),
      flags: getU16(datagram, at + 6),
      sequence: getU32(datagram, at + 8),
      port: getU32(datagram, at + 12),
      body: datagram.subarray(at + HEADER_SIZE, at + length),
    });
    at += align(length);
  }
  return messages;
}

/**
 * Reads NLMSG_ERROR or NLMSG_DONE. In NLMSG_DONE, the attributes directly follow the errno. In
 * NLMSG_ERROR, the request's header comes between them, and also the request's body unless
 * FLAG.capped is set.
 * @throws MalformedNetlink
 */
export function decodeVerdict(message: NetlinkMessage): Verdict {
  const { type, flags, body } = message;
  if (body.length < 4 && type === MESSAGE.done) return { errno: 0, detail: undefined, offset: undefined };
  if (body.length < 4) throw new MalformedNetlink(`an error has a number of 4 bytes; ${body.length} were received`);
  const errno = Math.abs(getI32(body, 0));
  if (!(flags & FLAG.explained)) return { errno, detail: undefined, offset: undefined };
  let at = 4;
  if (type === MESSAGE.error) {
    if (body.length < 4 + HEADER_SIZE) throw new MalformedNetlink('an error lacks the header of its request');
    at += flags & FLAG.capped ? HEADER_SIZE : align(getU32(body, 4));
  }
  if (at > body.length) throw new MalformedNetlink(`an error's explanation begins at byte ${at} of ${body.length}`);
  const explanation = Attributes.parse(body.subarray(at), "an error's explanation");
  return { errno, detail: explanation.string(DETAIL.message), offset: explanation.u32(DETAIL.offset) };
}
