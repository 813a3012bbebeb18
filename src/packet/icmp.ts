/**
 * Writes the two ICMP errors that a local sender may get:
 * - Destination unreachable, if the packet has no peer or its peer has no endpoint: host
 *   unreachable in ICMPv4 (RFC 792, type 3 code 1), address unreachable in ICMPv6 (RFC 4443 section
 *   3.1, type 1 code 3). The kernel's wg_xmit sends the same errors.
 * - Too big, if the packet does not fit into a datagram: fragmentation needed (RFC 1191 section 4,
 *   type 3 code 4), packet too big (RFC 4443 section 3.2, type 2).
 *
 * The error goes back into the TUN. Its source is the unreachable address: the kernel would drop an
 * error from one of the machine's own addresses as a martian. RFC 1122 section 3.2.2, RFC 1812
 * section 4.3.2.7 and RFC 4443 section 2.4(e) list the packets that must not be answered. The
 * caller limits the rate.
 */
import { readU32be, writeU16be } from './byte-order.ts';
import { addRange, checksum, pseudoHeader } from './checksum.ts';
import {
  IPV4_CHECKSUM,
  IPV4_DESTINATION,
  IPV4_HEADER_SIZE,
  IPV4_PROTOCOL,
  IPV4_SOURCE,
  IPV4_TOTAL_LENGTH,
  IPV4_TTL,
  IPV6_DESTINATION,
  IPV6_HEADER_SIZE,
  IPV6_HOP_LIMIT,
  IPV6_NEXT_HEADER,
  IPV6_PAYLOAD_LENGTH,
  IPV6_SOURCE,
  ipVersion,
  UPPER_OFFSET_MASK,
  upperLayer,
} from './ip-header.ts';

/** The largest ICMPv6 error: the minimum MTU of IPv6. */
export const ICMP_MAXIMUM_SIZE = 1280;
/** The largest ICMPv4 error (RFC 1812 section 4.3.2.3). */
const ICMPV4_MAXIMUM_SIZE = 576;

const PROTOCOL_ICMP = 1;
const PROTOCOL_ICMPV6 = 58;
const ICMP_HEADER_SIZE = 8;
/** Type and code, as the first two bytes of the header. */
const HOST_UNREACHABLE = 0x0301;
const FRAGMENTATION_NEEDED = 0x0304;
const ADDRESS_UNREACHABLE = 0x0103;
const TOO_BIG = 0x0200;
const HOPS = 64;
/** Precedence "internetwork control" (RFC 1812 section 4.3.2.5). */
const TOS_CONTROL = 0xc0;

/**
 * Writes a destination-unreachable error for an IP packet.
 * @param length bytes of the packet at `at`; a super-packet is allowed, because the error quotes
 * only the beginning
 * @param out needs ICMP_MAXIMUM_SIZE bytes of room at `outAt`
 * @returns bytes written; 0 if the packet must not be answered
 */
export function writeUnreachable(slab: Uint8Array, at: number, length: number, out: Uint8Array, outAt: number): number {
  const version = ipVersion(slab, at, length);
  if (version === 4 && answersIpv4(slab, at, length))
    return writeIpv4(slab, at, length, HOST_UNREACHABLE, 0, out, outAt);
  if (version === 6 && answersIpv6(slab, at, length))
    return writeIpv6(slab, at, length, ADDRESS_UNREACHABLE, 0, out, outAt);
  return 0;
}

/**
 * Writes a too-big error for an IP packet; see writeUnreachable for the arguments. IPv4 packets
 * without "do not fragment" get the error too: their sender is this host, which can fragment before
 * the TUN.
 * @param mtu the largest acceptable packet, up to 65535
 */
export function writeTooBig(
  slab: Uint8Array,
  at: number,
  length: number,
  mtu: number,
  out: Uint8Array,
  outAt: number,
): number {
  const version = ipVersion(slab, at, length);
  if (version === 4 && answersIpv4(slab, at, length))
    return writeIpv4(slab, at, length, FRAGMENTATION_NEEDED, mtu, out, outAt);
  if (version === 6 && answersIpv6(slab, at, length)) return writeIpv6(slab, at, length, TOO_BIG, mtu, out, outAt);
  return 0;
}

function answersIpv4(slab: Uint8Array, at: number, length: number): boolean {
  const source = readU32be(slab, at + IPV4_SOURCE);
  const destination = readU32be(slab, at + IPV4_DESTINATION);
  const net = source >>> 24;
  // "this" network, loopback, multicast, class E and broadcast do not identify a single host
  if (net === 0 || net === 127 || net >= 224 || destination >>> 24 >= 224 || destination === 0) return false;
  const upper = upperLayer(slab, at, length);
  if (upper < 0) return false;
  if ((upper & 0xff) !== PROTOCOL_ICMP) return true;
  const header = (upper & UPPER_OFFSET_MASK) >> 8;
  return header < length && isIcmpv4Query(slab[at + header]!);
}

/**
 * Returns true for echo, router discovery, timestamp, information, address mask and extended echo.
 * All other types are errors or unknown.
 */
function isIcmpv4Query(type: number): boolean {
  return type === 0 || (type >= 8 && type <= 10) || (type >= 13 && type <= 18) || type === 42 || type === 43;
}

function answersIpv6(slab: Uint8Array, at: number, length: number): boolean {
  if (!isIpv6Host(slab, at + IPV6_SOURCE) || slab[at + IPV6_DESTINATION] === 0xff) return false;
  const upper = upperLayer(slab, at, length);
  if (upper < 0) return false;
  if ((upper & 0xff) !== PROTOCOL_ICMPV6) return true;
  const header = (upper & UPPER_OFFSET_MASK) >> 8;
  // types below 128 are errors, 137 is redirect
  return header < length && slab[at + header]! >= 128 && slab[at + header] !== 137;
}

/** Returns true unless the address is multicast, unspecified or loopback. */
function isIpv6Host(slab: Uint8Array, at: number): boolean {
  if (slab[at] === 0xff) return false;
  for (let i = 0; i < 15; i++) if (slab[at + i] !== 0) return true;
  return slab[at + 15]! > 1;
}

function writeIpv4(
  slab: Uint8Array,
  at: number,
  length: number,
  kind: number,
  mtu: number,
  out: Uint8Array,
  outAt: number,
): number {
  const quoted = Math.min(length, ICMPV4_MAXIMUM_SIZE - IPV4_HEADER_SIZE - ICMP_HEADER_SIZE);
  const size = IPV4_HEADER_SIZE + ICMP_HEADER_SIZE + quoted;
  const icmp = outAt + IPV4_HEADER_SIZE;
  out.fill(0, outAt, icmp + ICMP_HEADER_SIZE);
  out.set(slab.subarray(at, at + quoted), icmp + ICMP_HEADER_SIZE);
  writeU16be(out, icmp, kind);
  writeU16be(out, icmp + 6, mtu);
  writeU16be(out, icmp + 2, checksum(addRange(0, out, icmp, ICMP_HEADER_SIZE + quoted)));
  out[outAt] = 0x45;
  out[outAt + 1] = TOS_CONTROL;
  writeU16be(out, outAt + IPV4_TOTAL_LENGTH, size);
  out[outAt + IPV4_TTL] = HOPS;
  out[outAt + IPV4_PROTOCOL] = PROTOCOL_ICMP;
  out.set(slab.subarray(at + IPV4_DESTINATION, at + IPV4_DESTINATION + 4), outAt + IPV4_SOURCE);
  out.set(slab.subarray(at + IPV4_SOURCE, at + IPV4_SOURCE + 4), outAt + IPV4_DESTINATION);
  writeU16be(out, outAt + IPV4_CHECKSUM, checksum(addRange(0, out, outAt, IPV4_HEADER_SIZE)));
  return size;
}

function writeIpv6(
  slab: Uint8Array,
  at: number,
  length: number,
  kind: number,
  mtu: number,
  out: Uint8Array,
  outAt: number,
): number {
  const quoted = Math.min(length, ICMP_MAXIMUM_SIZE - IPV6_HEADER_SIZE - ICMP_HEADER_SIZE);
  const icmp = outAt + IPV6_HEADER_SIZE;
  const icmpLength = ICMP_HEADER_SIZE + quoted;
  out.fill(0, outAt, icmp + ICMP_HEADER_SIZE);
  out.set(slab.subarray(at, at + quoted), icmp + ICMP_HEADER_SIZE);
  out[outAt] = 0x60;
  writeU16be(out, outAt + IPV6_PAYLOAD_LENGTH, icmpLength);
  out[outAt + IPV6_NEXT_HEADER] = PROTOCOL_ICMPV6;
  out[outAt + IPV6_HOP_LIMIT] = HOPS;
  out.set(slab.subarray(at + IPV6_DESTINATION, at + IPV6_DESTINATION + 16), outAt + IPV6_SOURCE);
  out.set(slab.subarray(at + IPV6_SOURCE, at + IPV6_SOURCE + 16), outAt + IPV6_DESTINATION);
  writeU16be(out, icmp, kind);
  writeU16be(out, icmp + 6, mtu);
  const sum = pseudoHeader(out, outAt + IPV6_SOURCE, 16, PROTOCOL_ICMPV6) + icmpLength;
  writeU16be(out, icmp + 2, checksum(addRange(sum, out, icmp, icmpLength)));
  return IPV6_HEADER_SIZE + icmpLength;
}
