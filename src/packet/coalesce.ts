/**
 * Merges consecutive packets of a TCP or UDP flow into super-packets for a TUN that accepts them,
 * like the kernel's GRO. The rules are in flow.ts and in OpenGroup below. native/offload.c
 * implements the same rules.
 *
 * Payloads are not moved. The result is a list of groups for gathering writes: the vnet header, the
 * first packet, and the payloads of the other packets. Only the headers of the first packet change,
 * in place.
 *
 * The order within a flow never changes, because a packet can only join the newest group of its
 * flow, at the end. Like the kernel, this never prepends a packet (a late packet stays late).
 */
import { PACKET_LENGTH, PACKET_OFFSET, PACKET_STRIDE } from './batch.ts';
import { writeU16be } from './byte-order.ts';
import { addRange, checksum, fold, PROTOCOL_TCP, PROTOCOL_UDP, pseudoHeader } from './checksum.ts';
import { FLOW_BARRIER, FLOW_MERGE, FLOW_SINGLE, FlowPacket, type Overlay, TCP_PSH } from './flow.ts';
import {
  IPV4_CHECKSUM,
  IPV4_HEADER_SIZE,
  IPV4_SOURCE,
  IPV4_TOTAL_LENGTH,
  IPV6_HEADER_SIZE,
  IPV6_PAYLOAD_LENGTH,
  IPV6_SOURCE,
} from './ip-header.ts';
import { TCP_CHECKSUM, TCP_FLAGS, UDP_CHECKSUM, UDP_LENGTH } from './segments.ts';
import { nextInner, nextTcp, sameIpv4, sameIpv6 } from './successor.ts';
import { VNET_GSO_TCPV4, VNET_GSO_TCPV6, VNET_GSO_UDP_L4, VNET_GSO_UDP_TUNNEL_IPV4 } from './vnet-header.ts';

/** Field of a group: index of the first packet. The next constants are the other fields. */
export const GROUP_FIRST = 0;
/** Number of packets. */
export const GROUP_COUNT = 1;
/** Bytes of the headers, which are written for the first packet only. */
export const GROUP_HEADERS = 2;
/** Bytes of the merged packet. */
export const GROUP_LENGTH = 3;
/** VNET_GSO_*; this and the following fields are 0 for a single packet. */
export const GROUP_GSO_TYPE = 4;
export const GROUP_GSO_SIZE = 5;
export const GROUP_CSUM_START = 6;
export const GROUP_CSUM_OFFSET = 7;
export const GROUP_STRIDE = 8;
/** Added to the field GROUP_GSO_TYPE if the UDP header of the tunnel has a checksum. */
export const GROUP_TUNNEL_SUMMED = 0x100;

/** In `next`: the packet is the last of its group. */
const NEXT_NONE = -1;
/** In `next`: the packet belongs to no group, because its descriptor lies outside the slab. */
export const NEXT_REFUSED = -2;

/** The kinds of packets that may be merged, as the TUN advertises them. */
export const MERGE_TCP4 = 1;
export const MERGE_TCP6 = 2;
export const MERGE_UDP = 4;
export const MERGE_TUNNEL = 8;

/** UDP_MAX_SEGMENTS of older kernels; also keeps the gathering write short. */
const MAX_MERGED = 64;
/** Flows tracked per batch. */
const MAX_OPEN = 32;
const LARGEST = 65535;

/** The working memory of merging, reused between batches. */
export class Coalescer {
  /** GROUP_STRIDE numbers per group, in the order of writing. */
  readonly groups: Int32Array;
  /** For each packet, the index of the next packet of its group, or NEXT_*. */
  readonly next: Int32Array;
  readonly #packet = new FlowPacket();
  readonly #open: OpenGroup[] = [];
  #openCount = 0;
  #groupCount = 0;
  #overlay: Overlay | undefined;

  /** @param capacity packets of the largest batch. */
  constructor(capacity: number) {
    this.groups = new Int32Array(capacity * GROUP_STRIDE);
    this.next = new Int32Array(capacity);
    for (let i = 0; i < MAX_OPEN; i++) this.#open.push(new OpenGroup());
  }

  /**
   * Groups the packets of a batch. The packets are bare IP packets; packet/batch.ts describes the
   * descriptors.
   * @param allowed MERGE_* bits
   * @param overlay where MERGE_TUNNEL applies
   * @returns the number of groups
   */
  merge(slab: Uint8Array, desc: Int32Array, count: number, allowed: number, overlay?: Overlay): number {
    this.#overlay = allowed & MERGE_TUNNEL ? overlay : undefined;
    this.#openCount = 0;
    this.#groupCount = 0;
    for (let i = 0; i < count; i++) {
      const offset = desc[i * PACKET_STRIDE + PACKET_OFFSET]!;
      const length = desc[i * PACKET_STRIDE + PACKET_LENGTH]!;
      if (offset < 0 || length <= 0 || offset + length > slab.length) this.next[i] = NEXT_REFUSED;
      else this.#place(slab, i, offset, length, allowed);
    }
    for (let g = 0; g < this.#groupCount; g++) {
      const at = g * GROUP_STRIDE;
      const first = this.groups[at + GROUP_FIRST]! * PACKET_STRIDE;
      if (this.groups[at + GROUP_COUNT]! > 1) finish(slab, desc[first + PACKET_OFFSET]!, this.groups, at);
    }
    return this.#groupCount;
  }

  #place(slab: Uint8Array, i: number, offset: number, length: number, allowed: number): void {
    const packet = this.#packet;
    packet.read(slab, offset, length, this.#overlay);
    this.next[i] = NEXT_NONE;
    if (packet.kind === FLOW_BARRIER) this.#openCount = 0;
    if (packet.kind === FLOW_SINGLE || packet.kind === FLOW_MERGE) {
      const slot = this.#find(slab);
      if (slot >= 0) {
        const open = this.#open[slot]!;
        if (packet.kind === FLOW_MERGE && open.takes(slab, packet, this.groups)) {
          this.next[open.last] = i;
          if (open.append(slab, i, packet, this.groups)) this.#close(slot);
          return;
        }
        this.#close(slot);
      }
    }
    const at = this.#groupCount++ * GROUP_STRIDE;
    this.groups.fill(0, at, at + GROUP_STRIDE);
    this.groups[at + GROUP_FIRST] = i;
    this.groups[at + GROUP_COUNT] = 1;
    this.groups[at + GROUP_LENGTH] = length;
    if (packet.kind === FLOW_MERGE && mayOpen(slab, packet, allowed)) {
      if (this.#openCount === MAX_OPEN) this.#close(0);
      const open = this.#open[this.#openCount++]!;
      open.head.read(slab, offset, length, this.#overlay);
      open.start(i, at);
    }
  }

  /** Returns the slot of the newest open group of this packet's flow, or -1. */
  #find(slab: Uint8Array): number {
    for (let slot = this.#openCount - 1; slot >= 0; slot--) {
      const head = this.#open[slot]!.head;
      if (head.version === this.#packet.version && this.#packet.sameFlow(slab, head.at)) return slot;
    }
    return -1;
  }

  #close(slot: number): void {
    const last = --this.#openCount;
    const closed = this.#open[slot]!;
    this.#open[slot] = this.#open[last]!;
    this.#open[last] = closed;
  }
}

/** A group that may still grow. */
class OpenGroup {
  readonly head = new FlowPacket();
  /** Index of the group's last packet. */
  last = 0;
  /** The group's offset in `groups`. */
  #at = 0;
  /** Whether the first packet's checksums were verified. */
  #checked = false;

  /** Begins a group with the packet that `head` has read. */
  start(i: number, at: number): void {
    this.last = i;
    this.#at = at;
    this.#checked = false;
  }

  /** Reports whether a packet of the same flow may be appended to this group. */
  takes(slab: Uint8Array, packet: FlowPacket, groups: Int32Array): boolean {
    const head = this.head;
    const merged = groups[this.#at + GROUP_COUNT]!;
    const length = groups[this.#at + GROUP_LENGTH]!;
    const payload = packet.length - packet.headers;
    if (packet.headers !== head.headers || payload > head.length - head.headers) return false;
    if (merged === MAX_MERGED || length + payload > LARGEST) return false;
    if (packet.unsummed !== head.unsummed) return false;
    const alike =
      packet.version === 4 ? sameIpv4(slab, packet.at, head.at, merged) : sameIpv6(slab, packet.at, head.at);
    if (!alike || packet.inner !== head.inner) return false;
    const tcp = packet.inner !== 0 || packet.protocol === PROTOCOL_TCP;
    if (tcp && !nextTcp(slab, packet, head, length - head.headers)) return false;
    if (packet.inner !== 0 && !nextInner(slab, packet, head, merged)) return false;
    if (!this.#checked && !head.sumsAreRight(slab)) return false;
    this.#checked = true;
    return packet.sumsAreRight(slab);
  }

  /**
   * Appends a packet. @returns true if the group is complete: nothing may follow a short packet or
   * a PSH
   */
  append(slab: Uint8Array, i: number, packet: FlowPacket, groups: Int32Array): boolean {
    const { head } = this;
    const at = this.#at;
    const payload = packet.length - packet.headers;
    const unit = head.length - head.headers;
    this.last = i;
    if (groups[at + GROUP_COUNT]!++ === 1) {
      const tcp = head.inner !== 0 || head.protocol === PROTOCOL_TCP;
      const version = head.inner === 0 ? head.version : head.innerVersion;
      const tunnel = VNET_GSO_UDP_TUNNEL_IPV4 | (head.unsummed ? 0 : GROUP_TUNNEL_SUMMED);
      groups[at + GROUP_HEADERS] = head.headers;
      groups[at + GROUP_GSO_TYPE] =
        (tcp ? (version === 4 ? VNET_GSO_TCPV4 : VNET_GSO_TCPV6) : VNET_GSO_UDP_L4) | (head.inner === 0 ? 0 : tunnel);
      groups[at + GROUP_GSO_SIZE] = unit;
      groups[at + GROUP_CSUM_START] = head.last;
      groups[at + GROUP_CSUM_OFFSET] = tcp ? TCP_CHECKSUM : UDP_CHECKSUM;
    }
    groups[at + GROUP_LENGTH]! += payload;
    const push = hasPush(slab, packet);
    if (push) slab[head.at + head.last + TCP_FLAGS]! |= TCP_PSH;
    return push || payload < unit;
  }
}

/**
 * Turns the first packet's headers into the headers of the merged packet. The checksum field gets
 * the sum of the pseudo header.
 */
function finish(slab: Uint8Array, head: number, groups: Int32Array, at: number): void {
  const length = groups[at + GROUP_LENGTH]!;
  const upper = groups[at + GROUP_CSUM_START]!;
  const type = groups[at + GROUP_GSO_TYPE]!;
  const inner =
    type & VNET_GSO_UDP_TUNNEL_IPV4 ? upper - (type & VNET_GSO_TCPV6 ? IPV6_HEADER_SIZE : IPV4_HEADER_SIZE) : 0;
  const udp = type === VNET_GSO_UDP_L4;
  if (inner !== 0) {
    const sum = finishIp(slab, head, 4, length, PROTOCOL_UDP) + length - IPV4_HEADER_SIZE;
    writeU16be(slab, head + IPV4_HEADER_SIZE + UDP_LENGTH, length - IPV4_HEADER_SIZE);
    const field = head + IPV4_HEADER_SIZE + UDP_CHECKSUM;
    if (type & GROUP_TUNNEL_SUMMED) writeU16be(slab, field, fold(sum));
  }
  const version = upper - inner === IPV4_HEADER_SIZE ? 4 : 6;
  const sum = finishIp(slab, head + inner, version, length - inner, udp ? PROTOCOL_UDP : PROTOCOL_TCP);
  if (udp) writeU16be(slab, head + upper + UDP_LENGTH, length - upper);
  writeU16be(slab, head + upper + groups[at + GROUP_CSUM_OFFSET]!, fold(sum + length - upper));
}

/** @returns the sum of the pseudo header without the length */
function finishIp(slab: Uint8Array, at: number, version: number, length: number, protocol: number): number {
  if (version === 6) {
    writeU16be(slab, at + IPV6_PAYLOAD_LENGTH, length - IPV6_HEADER_SIZE);
    return pseudoHeader(slab, at + IPV6_SOURCE, 16, protocol);
  }
  writeU16be(slab, at + IPV4_TOTAL_LENGTH, length);
  writeU16be(slab, at + IPV4_CHECKSUM, 0);
  writeU16be(slab, at + IPV4_CHECKSUM, checksum(addRange(0, slab, at, IPV4_HEADER_SIZE)));
  return pseudoHeader(slab, at + IPV4_SOURCE, 4, protocol);
}

function hasPush(slab: Uint8Array, packet: FlowPacket): boolean {
  const tcp = packet.inner !== 0 || packet.protocol === PROTOCOL_TCP;
  return tcp && (slab[packet.at + packet.last + TCP_FLAGS]! & TCP_PSH) !== 0;
}

function mayOpen(slab: Uint8Array, packet: FlowPacket, allowed: number): boolean {
  if (hasPush(slab, packet)) return false;
  if (packet.inner !== 0) return true; // FlowPacket knows whether it is allowed
  if (packet.protocol !== PROTOCOL_TCP) return (allowed & MERGE_UDP) !== 0;
  return (allowed & (packet.version === 4 ? MERGE_TCP4 : MERGE_TCP6)) !== 0;
}
