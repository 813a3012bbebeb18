/**
 * Decides whether a packet continues a group of merged packets: its headers repeat those of the
 * group's first packet, and its sequence number and IPv4 ID follow (the kernel's inet_gro_receive,
 * ipv6_gro_receive and tcp_gro_receive). The checks of the flow are in flow.ts.
 */
import { readU16be, readU32be } from './byte-order.ts';
import { type FlowPacket, sameRange } from './flow.ts';
import { IPV4_DONT_FRAGMENT, IPV4_FRAGMENT, IPV4_ID, IPV4_TTL, IPV6_HOP_LIMIT } from './ip-header.ts';
import { TCP_SEQUENCE } from './segments.ts';

/**
 * Compares TOS, flags and TTL. If the ID is significant, it must grow by one per packet (RFC 6864).
 */
export function sameIpv4(slab: Uint8Array, at: number, head: number, merged: number): boolean {
  const flags = readU16be(slab, head + IPV4_FRAGMENT);
  if (slab[at + 1] !== slab[head + 1] || slab[at + IPV4_TTL] !== slab[head + IPV4_TTL]) return false;
  if (readU16be(slab, at + IPV4_FRAGMENT) !== flags) return false;
  if (flags & IPV4_DONT_FRAGMENT) return true;
  return readU16be(slab, at + IPV4_ID) === ((readU16be(slab, head + IPV4_ID) + merged) & 0xffff);
}

/** Compares traffic class, flow label and hop limit. */
export function sameIpv6(slab: Uint8Array, at: number, head: number): boolean {
  return sameRange(slab, at, head, 4) && slab[at + IPV6_HOP_LIMIT] === slab[head + IPV6_HOP_LIMIT];
}

/**
 * Reports whether the sequence continues at the end of the group, with the same acknowledgement,
 * window, urgent pointer and options.
 */
export function nextTcp(slab: Uint8Array, packet: FlowPacket, head: FlowPacket, merged: number): boolean {
  const at = packet.at + packet.last;
  const first = head.at + head.last;
  const expected = (readU32be(slab, first + TCP_SEQUENCE) + merged) >>> 0;
  return (
    readU32be(slab, at + TCP_SEQUENCE) === expected &&
    sameRange(slab, at + 8, first + 8, 4) &&
    sameRange(slab, at + 14, first + 14, 2) &&
    sameRange(slab, at + 18, first + 18, packet.headers - packet.last - 18)
  );
}

/** Compares the headers inside a tunnel, except TCP's. */
export function nextInner(slab: Uint8Array, packet: FlowPacket, head: FlowPacket, merged: number): boolean {
  if (!packet.sameInner(slab, head)) return false;
  const [at, first] = [packet.at + packet.inner, head.at + head.inner];
  return packet.innerVersion === 4 ? sameIpv4(slab, at, first, merged) : sameIpv6(slab, at, first);
}
