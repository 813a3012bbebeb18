/**
 * Transport data (whitepaper section 5.4.6; kernel messages.h, message_data): a header of 16 bytes
 * and the sealed packet, which is padded with zeros to a multiple of 16. A keepalive contains no
 * packet and has 32 bytes.
 */
import { writeU32le } from './byte-order.ts';
import { MESSAGE_TRANSPORT } from './message-type.ts';

export const TRANSPORT_HEADER_SIZE = 16;
const TRANSPORT_TAG_SIZE = 16;
/** Bytes that a message adds to its padded packet. */
export const TRANSPORT_OVERHEAD = TRANSPORT_HEADER_SIZE + TRANSPORT_TAG_SIZE;
const TRANSPORT_PADDING = 16;

/**
 * Bytes of the largest UDP payload that Linux sends. IPv4's total length includes both headers
 * (ip_append_data); IPv6's payload length includes only UDP's (ip6_append_data).
 */
export const LARGEST_DATAGRAM_IPV4 = 65_535 - 20 - 8;
export const LARGEST_DATAGRAM_IPV6 = 65_535 - 8;

/** u32, little endian: the receiver's index for the keypair. */
export const TRANSPORT_RECEIVER = 4;
/** u64, little endian. */
export const TRANSPORT_COUNTER = 8;

/**
 * Returns the padded length of a packet: a multiple of 16, but at most the MTU. A packet can be
 * longer than the MTU (if a route allows it); then the length modulo the MTU determines the
 * padding, as in the kernel's calculate_skb_padding (send.c).
 * @param mtu the interface's MTU; 0 means unknown and pads to 16
 */
export function paddedLength(length: number, mtu: number): number {
  const aligned = (length + TRANSPORT_PADDING - 1) & -TRANSPORT_PADDING;
  if (mtu <= 0) return aligned;
  const unit = length > mtu ? length % mtu : length;
  const padded = (unit + TRANSPORT_PADDING - 1) & -TRANSPORT_PADDING;
  return length + Math.min(padded, mtu) - unit;
}

/** Returns the size in bytes of the largest UDP payload for an address family (4 or 6). */
export function largestDatagram(family: number): number {
  return family === 6 ? LARGEST_DATAGRAM_IPV6 : LARGEST_DATAGRAM_IPV4;
}

/** Returns the largest packet size whose padded message still fits into largestDatagram(family). */
export function largestPacket(family: number): number {
  return (largestDatagram(family) - TRANSPORT_OVERHEAD) & -TRANSPORT_PADDING;
}

/** Writes the 16-byte header of a message. The numbers may be i32 or u32. */
export function writeTransportHeader(
  slab: Uint8Array,
  at: number,
  receiver: number,
  counterLow: number,
  counterHigh: number,
): void {
  writeU32le(slab, at, MESSAGE_TRANSPORT);
  writeU32le(slab, at + TRANSPORT_RECEIVER, receiver);
  writeU32le(slab, at + TRANSPORT_COUNTER, counterLow);
  writeU32le(slab, at + TRANSPORT_COUNTER + 4, counterHigh);
}
