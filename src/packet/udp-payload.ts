/**
 * Finds the UDP datagram inside an IP packet and identifies its fragments, for the guard against
 * routing loops (protocol/loop-guard.ts). The guard examines datagrams that the host sends for us,
 * in which the only possible IPv6 extension header is a fragment header.
 */
import { readU16be, readU32be } from './byte-order.ts';
import { PROTOCOL_UDP } from './checksum.ts';
import {
  IPV4_FRAGMENT,
  IPV4_ID,
  IPV4_PROTOCOL,
  IPV4_SOURCE,
  IPV6_HEADER_SIZE,
  IPV6_NEXT_HEADER,
  IPV6_SOURCE,
} from './ip-header.ts';

const UDP_HEADER_SIZE = 8;
const MORE_FRAGMENTS_4 = 0x2000;
const OFFSET_4 = 0x1fff;
const FRAGMENT_HEADER = 44;
const FRAGMENT_HEADER_SIZE = 8;
const OFFSET_6 = 0xfff8;
const MORE_FRAGMENTS_6 = 1;
/** Bytes of both addresses, source first; they are adjacent in both IP versions. */
const ADDRESSES_4 = 8;
const ADDRESSES_6 = 32;
/** Bytes that identify a fragmented packet: version, identification, addresses. */
export const FRAGMENT_NAME_SIZE = 5 + ADDRESSES_6;

/**
 * Finds the UDP payload of an IP packet.
 * @param at the offset of a complete IP header
 * @param length bytes of the packet
 * @returns the offset of the UDP payload, which may be the packet's end; -1 if there is no UDP
 * header, as in every fragment except the first
 */
export function udpPayload(slab: Uint8Array, at: number, length: number): number {
  let udp: number;
  if (slab[at]! >> 4 === 4) {
    if (slab[at + IPV4_PROTOCOL] !== PROTOCOL_UDP) return -1;
    if ((readU16be(slab, at + IPV4_FRAGMENT) & OFFSET_4) !== 0) return -1;
    udp = (slab[at]! & 15) * 4;
  } else if (slab[at + IPV6_NEXT_HEADER] === PROTOCOL_UDP) udp = IPV6_HEADER_SIZE;
  else {
    const fragment = at + IPV6_HEADER_SIZE;
    udp = IPV6_HEADER_SIZE + FRAGMENT_HEADER_SIZE;
    if (slab[at + IPV6_NEXT_HEADER] !== FRAGMENT_HEADER || length < udp) return -1;
    if (slab[fragment] !== PROTOCOL_UDP || (readU16be(slab, fragment + 2) & OFFSET_6) !== 0) return -1;
  }
  return udp + UDP_HEADER_SIZE <= length ? at + udp + UDP_HEADER_SIZE : -1;
}

/** Returns 0 for an unfragmented packet, 1 for a first fragment, 2 for a later one. */
export function fragmentKind(slab: Uint8Array, at: number, length: number): 0 | 1 | 2 {
  let offset: number;
  let more: number;
  if (slab[at]! >> 4 === 4) {
    const word = readU16be(slab, at + IPV4_FRAGMENT);
    offset = word & OFFSET_4;
    more = word & MORE_FRAGMENTS_4;
  } else {
    const fragment = at + IPV6_HEADER_SIZE;
    if (slab[at + IPV6_NEXT_HEADER] !== FRAGMENT_HEADER) return 0;
    if (length < IPV6_HEADER_SIZE + FRAGMENT_HEADER_SIZE) return 0;
    const word = readU16be(slab, fragment + 2);
    offset = word & OFFSET_6;
    more = word & MORE_FRAGMENTS_6;
  }
  if (offset !== 0) return 2;
  return more !== 0 ? 1 : 0;
}

/**
 * Writes the fields that all fragments of a packet share to the start of `name`: FRAGMENT_NAME_SIZE
 * bytes. The packet must be a fragment.
 */
export function writeFragmentName(slab: Uint8Array, at: number, name: Uint8Array): void {
  const four = slab[at]! >> 4 === 4;
  const id = four ? readU16be(slab, at + IPV4_ID) : readU32be(slab, at + IPV6_HEADER_SIZE + 4);
  const from = at + (four ? IPV4_SOURCE : IPV6_SOURCE);
  name.fill(0);
  name[0] = four ? 4 : 6;
  name[1] = id >>> 24;
  name[2] = id >>> 16;
  name[3] = id >>> 8;
  name[4] = id;
  for (let i = 0; i < (four ? ADDRESSES_4 : ADDRESSES_6); i++) name[5 + i] = slab[from + i]!;
}
