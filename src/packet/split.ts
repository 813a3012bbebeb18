/**
 * Splits a super-packet into its segments (the kernel's inet_gso_segment, tcp_gso_segment and
 * __udp_gso_segment). Each call writes one segment to the place that the caller chooses. The plan
 * (segments.ts) has already verified that everything lies within the packet. A differential fuzz
 * test compares this file with native/offload.c.
 */
import { readU16be, readU32be, writeU16be, writeU32be } from './byte-order.ts';
import { addRange, checksum } from './checksum.ts';
import { IPV4_CHECKSUM, IPV4_ID, IPV4_TOTAL_LENGTH, IPV6_HEADER_SIZE, IPV6_PAYLOAD_LENGTH } from './ip-header.ts';
import {
  SPLIT_CHECKSUM,
  SPLIT_COPY,
  SPLIT_TCP,
  type SplitPlan,
  TCP_FLAGS,
  TCP_SEQUENCE,
  UDP_CHECKSUM,
  UDP_LENGTH,
} from './segments.ts';

const TCP_FIN = 0x01;
const TCP_PSH = 0x08;
const TCP_CWR = 0x80;

/**
 * Writes one segment with headers and payload, without padding.
 * @param slab the slab from which the plan was read, unchanged since; must not overlap the output
 * @param index 0 .. plan.count - 1
 * @returns the bytes written: plan.segmentLength(index)
 */
export function writeSegment(slab: Uint8Array, plan: SplitPlan, index: number, out: Uint8Array, outAt: number): number {
  const length = plan.segmentLength(index);
  if (plan.action === SPLIT_COPY || plan.action === SPLIT_CHECKSUM) {
    out.set(slab.subarray(plan.packet, plan.packet + length), outAt);
    if (plan.action === SPLIT_CHECKSUM) {
      const sum = addRange(0, out, outAt + plan.upper, length - plan.upper);
      writeU16be(out, outAt + plan.field, checksum(sum) || 0xffff);
    }
    return length;
  }
  const payload = plan.packet + plan.headers + index * plan.unit;
  out.set(slab.subarray(plan.packet, plan.packet + plan.headers), outAt);
  out.set(slab.subarray(payload, payload + length - plan.headers), outAt + plan.headers);
  fixIp(out, outAt + plan.inner, plan.innerVersion, plan.upper - plan.inner, length - plan.inner, index);
  const upper = outAt + plan.upper;
  const upperLength = length - plan.upper;
  if (plan.action === SPLIT_TCP) fixTcp(out, upper, plan, index);
  else writeU16be(out, upper + UDP_LENGTH, upperLength);
  writeU16be(out, outAt + plan.field, 0);
  const sum = checksum(addRange(plan.pseudo + upperLength, out, upper, upperLength));
  // a zero checksum in UDP means no checksum (RFC 768)
  writeU16be(out, outAt + plan.field, plan.action === SPLIT_TCP ? sum : sum || 0xffff);
  if (plan.tunnel !== 0) fixTunnel(out, outAt, plan, length, index, plan.pseudo + upperLength);
  return length;
}

/**
 * Adapts the headers of the tunnel. The inner segment's checksum makes that segment's sum the
 * complement of `pseudo`, its pseudo header's sum, so the payload is not summed again (the kernel's
 * "local checksum offload").
 */
function fixTunnel(out: Uint8Array, at: number, plan: SplitPlan, length: number, index: number, pseudo: number): void {
  const udp = at + plan.tunnel;
  const before = plan.upper - plan.tunnel;
  fixIp(out, at, plan.version, plan.tunnel, length, index);
  writeU16be(out, udp + UDP_LENGTH, length - plan.tunnel);
  writeU16be(out, udp + UDP_CHECKSUM, 0);
  if (!plan.tunnelSummed) return;
  let rest = checksum(pseudo);
  // at an odd offset, the bytes of each word change places (RFC 1071 section 2B)
  if (before & 1) rest = ((rest & 0xff) << 8) | (rest >> 8);
  const sum = checksum(addRange(plan.tunnelPseudo + length - plan.tunnel + rest, out, udp, before));
  writeU16be(out, udp + UDP_CHECKSUM, sum || 0xffff);
}

/** Adapts the IP header to a segment of `length` bytes. @param header bytes of an IPv4 header */
function fixIp(out: Uint8Array, at: number, version: number, header: number, length: number, index: number): void {
  if (version === 6) {
    writeU16be(out, at + IPV6_PAYLOAD_LENGTH, length - IPV6_HEADER_SIZE);
    return;
  }
  writeU16be(out, at + IPV4_TOTAL_LENGTH, length);
  writeU16be(out, at + IPV4_ID, readU16be(out, at + IPV4_ID) + index);
  writeU16be(out, at + IPV4_CHECKSUM, 0);
  writeU16be(out, at + IPV4_CHECKSUM, checksum(addRange(0, out, at, header)));
}

function fixTcp(out: Uint8Array, upper: number, plan: SplitPlan, index: number): void {
  writeU32be(out, upper + TCP_SEQUENCE, readU32be(out, upper + TCP_SEQUENCE) + index * plan.unit);
  if (index < plan.count - 1) out[upper + TCP_FLAGS]! &= ~(TCP_FIN | TCP_PSH);
  // only the first segment keeps "congestion window reduced" (RFC 3168 section 6.1.2)
  if (index > 0) out[upper + TCP_FLAGS]! &= ~TCP_CWR;
}
