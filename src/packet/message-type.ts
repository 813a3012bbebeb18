/**
 * The first word of every datagram: a type byte and three reserved zeros, read as one little endian word so that a message
 * with anything else in the reserved bytes is of no known type (whitepaper section 5.4; kernel receive.c, prepare_skb_header
 * and validate_header_len).
 */
import { readU32le } from './byte-order.ts';
import { COOKIE_REPLY_SIZE } from './cookie-reply.ts';
import { INITIATION_SIZE } from './initiation.ts';
import { RESPONSE_SIZE } from './response.ts';

export const MESSAGE_INVALID = 0;
export const MESSAGE_INITIATION = 1;
export const MESSAGE_RESPONSE = 2;
export const MESSAGE_COOKIE_REPLY = 3;
export const MESSAGE_TRANSPORT = 4;

/** Header, no packet, tag: a keepalive. */
export const TRANSPORT_MINIMUM_SIZE = 32;

/**
 * What a datagram is, by type word and size: handshake messages have exactly one size, transport messages a minimum (their
 * padding is the sender's courtesy and not checked).
 * @returns one of MESSAGE_*; MESSAGE_INVALID (0) if it is none.
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

/** Whether the type word says initiation, response or cookie reply, whatever the size (native/udp-steer.c asks the same). */
export function isHandshakeType(slab: Uint8Array, offset: number, length: number): boolean {
  if (length < 4) return false;
  const type = readU32le(slab, offset);
  return type === MESSAGE_INITIATION || type === MESSAGE_RESPONSE || type === MESSAGE_COOKIE_REPLY;
}
