/**
 * The first word of every datagram: a type byte and three reserved zeros. It is read as one
 * little-endian word, so that nonzero reserved bytes make the type unknown (whitepaper section 5.4;
 * kernel receive.c, prepare_skb_header and validate_header_len).
 */
import { readU32le } from './byte-order.ts';
import { COOKIE_REPLY_SIZE } from './cookie-reply.ts';
import { INITIATION_SIZE } from './initiation.ts';
import { RESPONSE_SIZE } from './response.ts';

const MESSAGE_INVALID = 0;
export const MESSAGE_INITIATION = 1;
export const MESSAGE_RESPONSE = 2;
export const MESSAGE_COOKIE_REPLY = 3;
export const MESSAGE_TRANSPORT = 4;

/** The size of a keepalive: header and tag without a packet. */
const TRANSPORT_MINIMUM_SIZE = 32;

/**
 * Classifies a datagram by type word and size. Each type of handshake message has one exact size;
 * transport messages have a minimum size. The padding of transport messages is optional and not
 * checked.
 * @returns one of MESSAGE_*; MESSAGE_INVALID (0) if the datagram is not a message
 */
export function messageType(slab: Uint8Array, offset: number, length: number): number {
  if (length < TRANSPORT_MINIMUM_SIZE) return MESSAGE_INVALID;
  switch (readU32le(slab, offset)) {
    case MESSAGE_INITIATION:
      return length === INITIATION_SIZE ? MESSAGE_INITIATION : MESSAGE_INVALID;
    case MESSAGE_RESPONSE:
      return length === RESPONSE_SIZE ? MESSAGE_RESPONSE : MESSAGE_INVALID;
    case MESSAGE_COOKIE_REPLY:
      return length === COOKIE_REPLY_SIZE ? MESSAGE_COOKIE_REPLY : MESSAGE_INVALID;
    case MESSAGE_TRANSPORT:
      return MESSAGE_TRANSPORT;
    default:
      return MESSAGE_INVALID;
  }
}

/**
 * Reports whether the type word is an initiation, a response or a cookie reply. The size is not
 * checked. native/udp-steer.c makes the same test.
 */
export function isHandshakeType(slab: Uint8Array, offset: number, length: number): boolean {
  if (length < 4) return false;
  const type = readU32le(slab, offset);
  return type === MESSAGE_INITIATION || type === MESSAGE_RESPONSE || type === MESSAGE_COOKIE_REPLY;
}
