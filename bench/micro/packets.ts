/**
 * Makes packets as a TUN device delivers them: whole packets, and super-packets behind a
 * virtio_net_hdr that describes how to split them. The splitter completes the transport checksum
 * (linux/virtio_net.h).
 */
import type { Family } from '#dist/base/family.js';
import { VNET_HEADER_SIZE } from '#dist/packet/batch.js';
import { writeU16be, writeU16le, writeU32be } from '#dist/packet/byte-order.js';
import { addRange, checksum, fold, PROTOCOL_TCP, PROTOCOL_UDP, pseudoHeader } from '#dist/packet/checksum.js';
import {
  IPV4_CHECKSUM,
  IPV4_FRAGMENT,
  IPV4_HEADER_SIZE,
  IPV4_PROTOCOL,
  IPV4_SOURCE,
  IPV4_TOTAL_LENGTH,
  IPV4_TTL,
  IPV6_HEADER_SIZE,
  IPV6_HOP_LIMIT,
  IPV6_NEXT_HEADER,
  IPV6_PAYLOAD_LENGTH,
  IPV6_SOURCE,
} from '#dist/packet/ip-header.js';
import {
  TCP_CHECKSUM,
  TCP_FLAGS,
  TCP_SEQUENCE,
  UDP_CHECKSUM,
  UDP_HEADER_SIZE,
  UDP_LENGTH,
} from '#dist/packet/segments.js';
import {
  VNET_CSUM_OFFSET,
  VNET_CSUM_START,
  VNET_F_NEEDS_CSUM,
  VNET_FLAGS,
  VNET_GSO_SIZE,
  VNET_GSO_TCPV4,
  VNET_GSO_TCPV6,
  VNET_GSO_TYPE,
  VNET_GSO_UDP_L4,
  VNET_HDR_LEN,
} from '#dist/packet/vnet-header.js';
import { pattern } from './contest.ts';

export const MTU = 1420;

export interface Flow {
  readonly name: string;
  readonly version: Family;
  readonly protocol: typeof PROTOCOL_TCP | typeof PROTOCOL_UDP;
  /** Source and destination of IPv4, 8 bytes; default: 10.0.0.1 and 10.0.0.2. */
  readonly addresses?: Uint8Array;
}

export const TCP4: Flow = { name: 'TCP over IPv4', version: 4, protocol: PROTOCOL_TCP };
export const TCP6: Flow = { name: 'TCP over IPv6', version: 6, protocol: PROTOCOL_TCP };
export const UDP4: Flow = { name: 'UDP over IPv4', version: 4, protocol: PROTOCOL_UDP };

/** Includes timestamps, as nearly every TCP packet does (RFC 7323). */
const TCP_HEADER_SIZE = 32;
const LARGEST = 65_535;

function headersSize({ version, protocol }: Flow): number {
  const upper = protocol === PROTOCOL_TCP ? TCP_HEADER_SIZE : UDP_HEADER_SIZE;
  return (version === 4 ? IPV4_HEADER_SIZE : IPV6_HEADER_SIZE) + upper;
}

export interface SuperPacket {
  /** The vnet header and the packet. */
  readonly bytes: Uint8Array;
  /** The number of packets, each of MTU bytes, that it splits into. */
  readonly segments: number;
}

/** Returns a super-packet that holds as many full packets of the flow as fit into 64 KiB. */
export function superPacket(flow: Flow): SuperPacket {
  const headers = headersSize(flow);
  const unit = MTU - headers;
  const segments = Math.floor((LARGEST - headers) / unit);
  const bytes = new Uint8Array(VNET_HEADER_SIZE + headers + segments * unit);
  writePacket(bytes, VNET_HEADER_SIZE, flow, headers + segments * unit);
  const tcp = flow.version === 4 ? VNET_GSO_TCPV4 : VNET_GSO_TCPV6;
  bytes[VNET_FLAGS] = VNET_F_NEEDS_CSUM;
  bytes[VNET_GSO_TYPE] = flow.protocol === PROTOCOL_TCP ? tcp : VNET_GSO_UDP_L4;
  writeU16le(bytes, VNET_HDR_LEN, headers);
  writeU16le(bytes, VNET_GSO_SIZE, unit);
  writeU16le(bytes, VNET_CSUM_START, flow.version === 4 ? IPV4_HEADER_SIZE : IPV6_HEADER_SIZE);
  writeU16le(bytes, VNET_CSUM_OFFSET, flow.protocol === PROTOCOL_TCP ? TCP_CHECKSUM : UDP_CHECKSUM);
  return { bytes, segments };
}

/**
 * Returns one packet of this length, headers included, behind an empty vnet header, so it needs no
 * splitting and no checksum.
 */
export function plainPacket(length: number): Uint8Array {
  const bytes = new Uint8Array(VNET_HEADER_SIZE + length);
  writePacket(bytes, VNET_HEADER_SIZE, UDP4, length);
  return bytes;
}

/**
 * Writes a packet whose transport checksum field holds the sum of the pseudo header. A vnet header
 * that requests checksum completion expects this.
 */
function writePacket(slab: Uint8Array, at: number, flow: Flow, length: number): void {
  const { version, protocol } = flow;
  slab.set(pattern(length), at);
  const upper = version === 4 ? writeIpv4(slab, at, flow, length) : writeIpv6(slab, at, protocol, length);
  const upperLength = length - (upper - at);
  writeU16be(slab, upper, 40_000);
  writeU16be(slab, upper + 2, 5201);
  if (protocol === PROTOCOL_TCP) {
    writeU32be(slab, upper + TCP_SEQUENCE, 0xffff_f000);
    slab[upper + 12] = (TCP_HEADER_SIZE / 4) << 4;
    slab[upper + TCP_FLAGS] = 0x10;
    writeU16be(slab, upper + 18, 0);
    // two no-operation options, then timestamps of 10 bytes
    writeU32be(slab, upper + 20, 0x0101_080a);
  } else writeU16be(slab, upper + UDP_LENGTH, upperLength);
  const [addresses, size] = version === 4 ? [at + IPV4_SOURCE, 4] : [at + IPV6_SOURCE, 16];
  const sum = fold(pseudoHeader(slab, addresses, size, protocol) + upperLength);
  writeU16be(slab, upper + (protocol === PROTOCOL_TCP ? TCP_CHECKSUM : UDP_CHECKSUM), sum);
}

/** @returns the offset of the transport header */
function writeIpv4(slab: Uint8Array, at: number, { protocol, addresses }: Flow, length: number): number {
  slab[at] = 0x45;
  slab[at + 1] = 0;
  writeU16be(slab, at + IPV4_TOTAL_LENGTH, length);
  writeU16be(slab, at + IPV4_FRAGMENT, 0x4000);
  slab[at + IPV4_TTL] = 64;
  slab[at + IPV4_PROTOCOL] = protocol;
  slab.set(addresses ?? [10, 0, 0, 1, 10, 0, 0, 2], at + IPV4_SOURCE);
  writeU16be(slab, at + IPV4_CHECKSUM, 0);
  writeU16be(slab, at + IPV4_CHECKSUM, checksum(addRange(0, slab, at, IPV4_HEADER_SIZE)));
  return at + IPV4_HEADER_SIZE;
}

function writeIpv6(slab: Uint8Array, at: number, protocol: number, length: number): number {
  writeU32be(slab, at, 0x6000_0000);
  writeU16be(slab, at + IPV6_PAYLOAD_LENGTH, length - IPV6_HEADER_SIZE);
  slab[at + IPV6_NEXT_HEADER] = protocol;
  slab[at + IPV6_HOP_LIMIT] = 64;
  return at + IPV6_HEADER_SIZE;
}
