/**
 * Reads IPv4 and IPv6 headers (RFC 791, RFC 8200) in place, at an offset in a slab, and handles the
 * congestion bits that a tunnel copies between inner and outer header (RFC 3168, RFC 6040).
 * Allocates nothing. Ignores options and jumbograms (RFC 2675), and treats the authentication
 * header as an upper protocol.
 */
import { readU16be, writeU16be } from './byte-order.ts';
import { updateChecksum } from './checksum.ts';

export const IPV4_HEADER_SIZE = 20;
export const IPV4_TOTAL_LENGTH = 2;
export const IPV4_ID = 4;
/** Three flags (reserved, DF, MF) and the offset of 13 bits. */
export const IPV4_FRAGMENT = 6;
export const IPV4_TTL = 8;
export const IPV4_PROTOCOL = 9;
export const IPV4_CHECKSUM = 10;
export const IPV4_SOURCE = 12;
export const IPV4_DESTINATION = 16;

export const IPV6_HEADER_SIZE = 40;
export const IPV6_PAYLOAD_LENGTH = 4;
export const IPV6_NEXT_HEADER = 6;
export const IPV6_HOP_LIMIT = 7;
export const IPV6_SOURCE = 8;
export const IPV6_DESTINATION = 24;

/** Nonzero in every fragment: "more fragments" or an offset. */
export const IPV4_FRAGMENT_MASK = 0x3fff;
export const IPV4_DONT_FRAGMENT = 0x4000;

export const ECN_MASK = 3;
const ECN_NOT_ECT = 0;
const ECN_ECT1 = 1;
export const ECN_ECT0 = 2;
export const ECN_CE = 3;

/** Returns 4 or 6 if the offset holds a complete fixed header of that version, otherwise 0. */
export function ipVersion(slab: Uint8Array, at: number, available: number): number {
  if (available < IPV4_HEADER_SIZE) return 0;
  const version = slab[at]! >> 4;
  if (version === 4) return 4;
  return version === 6 && available >= IPV6_HEADER_SIZE ? 6 : 0;
}

/**
 * Returns the packet length that the header states. It may be less than the available bytes
 * (padding).
 * @returns 0 if the range is not an IP packet, or if the header is longer than the packet or claims
 * more bytes than are available
 */
export function ipPacketLength(slab: Uint8Array, at: number, available: number): number {
  const version = ipVersion(slab, at, available);
  if (version === 6) {
    const length = IPV6_HEADER_SIZE + readU16be(slab, at + IPV6_PAYLOAD_LENGTH);
    return length <= available ? length : 0;
  }
  if (version === 0) return 0;
  const length = readU16be(slab, at + IPV4_TOTAL_LENGTH);
  const header = ipv4HeaderSize(slab, at);
  return header >= IPV4_HEADER_SIZE && header <= length && length <= available ? length : 0;
}

/** Returns the size of the IPv4 header with its options; below 20 if the header is malformed. */
function ipv4HeaderSize(slab: Uint8Array, at: number): number {
  return (slab[at]! & 15) << 2;
}

/**
 * Returns the IPv4 TOS byte or the IPv6 traffic class. ipVersion() must have accepted the header.
 */
export function trafficClass(slab: Uint8Array, at: number): number {
  if (slab[at]! >> 4 === 4) return slab[at + 1]!;
  return ((slab[at]! & 15) << 4) | (slab[at + 1]! >> 4);
}

/** Sets the TOS byte or traffic class, and updates the IPv4 header checksum. */
export function setTrafficClass(slab: Uint8Array, at: number, value: number): void {
  if (slab[at]! >> 4 === 4) {
    const from = readU16be(slab, at);
    slab[at + 1] = value;
    const old = readU16be(slab, at + IPV4_CHECKSUM);
    writeU16be(slab, at + IPV4_CHECKSUM, updateChecksum(old, from, readU16be(slab, at)));
  } else {
    slab[at] = 0x60 | (value >> 4);
    slab[at + 1] = ((value & 15) << 4) | (slab[at + 1]! & 15);
  }
}

/**
 * Applies the outer header's congestion bits to an inner packet that was just decapsulated (RFC
 * 6040 section 4.2).
 * @returns false for the only combination that the RFC drops: "congestion experienced" on a packet
 * whose sender does not support ECN. The kernel's WireGuard delivers this packet nevertheless.
 */
export function decapsulateEcn(slab: Uint8Array, at: number, outer: number): boolean {
  const inner = trafficClass(slab, at);
  const mark = outer & ECN_MASK;
  if ((inner & ECN_MASK) === ECN_NOT_ECT) return mark !== ECN_CE;
  if (mark === ECN_CE && (inner & ECN_MASK) !== ECN_CE) setTrafficClass(slab, at, inner | ECN_CE);
  else if (mark === ECN_ECT1 && (inner & ECN_MASK) === ECN_ECT0)
    setTrafficClass(slab, at, (inner & ~ECN_MASK) | ECN_ECT1);
  return true;
}

/** In upperLayer()'s result: the offset, shifted up by 8 bits. */
export const UPPER_OFFSET_MASK = 0x1ffff00;
/**
 * In upperLayer()'s result: the packet is a first fragment. Later fragments have no upper header.
 */
export const UPPER_FRAGMENT = 1 << 25;
/**
 * In upperLayer()'s result: a routing header precedes the upper header, so the checksum may cover a
 * different destination.
 */
export const UPPER_ROUTED = 1 << 26;

/**
 * Finds the first header after the IP header and its extension headers. The header found may itself
 * be truncated.
 * @param length bytes of the packet
 * @returns protocol | (offset from the packet's start << 8) | flags; -1 for a later fragment, "no
 * next header", or a truncated packet
 */
export function upperLayer(slab: Uint8Array, at: number, length: number): number {
  if (slab[at]! >> 4 === 4) {
    const header = ipv4HeaderSize(slab, at);
    const fragment = readU16be(slab, at + IPV4_FRAGMENT) & IPV4_FRAGMENT_MASK;
    if (header < IPV4_HEADER_SIZE || header > length || (fragment & 0x1fff) !== 0) return -1;
    return slab[at + IPV4_PROTOCOL]! | (header << 8) | (fragment !== 0 ? UPPER_FRAGMENT : 0);
  }
  let protocol = slab[at + IPV6_NEXT_HEADER]!;
  let header = IPV6_HEADER_SIZE;
  let flags = 0;
  for (;;) {
    if (protocol === NO_NEXT_HEADER) return -1;
    if (protocol !== HOP_BY_HOP && protocol !== ROUTING && protocol !== DESTINATION && protocol !== FRAGMENT) break;
    if (header + 8 > length) return -1;
    let size = 8;
    if (protocol === FRAGMENT) {
      if ((readU16be(slab, at + header + 2) & 0xfff8) !== 0) return -1;
      flags |= UPPER_FRAGMENT;
    } else {
      if (protocol === ROUTING) flags |= UPPER_ROUTED;
      size = (slab[at + header + 1]! + 1) << 3;
    }
    protocol = slab[at + header]!;
    header += size;
    if (header > length) return -1;
  }
  return protocol | (header << 8) | flags;
}

const HOP_BY_HOP = 0;
const ROUTING = 43;
const FRAGMENT = 44;
const NO_NEXT_HEADER = 59;
const DESTINATION = 60;
