/**
 * Plans how to split a super-packet from the TUN before anything is written, so that the engine can
 * reserve counters and space first (linux/virtio_net.h; the kernel's tcp_gso_segment and
 * __udp_gso_segment). native/offload.c implements the same rules; the two must agree on every
 * input.
 *
 * The plan does not trust hdr_len, which kernels have filled in differently, and parses the headers
 * instead. A packet is malformed, and has no segments, if it is not an IP packet, claims more bytes
 * than are available, places its checksum field outside itself, or requests an offload that does
 * not match its protocol. Not supported: UFO (Linux no longer creates it), jumbograms, and TCP
 * after a routing header without a partial checksum.
 */
import { VNET_HEADER_SIZE } from './batch.ts';
import { readU16be, readU16le } from './byte-order.ts';
import { PROTOCOL_TCP, PROTOCOL_UDP, pseudoHeader } from './checksum.ts';
import {
  IPV4_SOURCE,
  IPV6_HEADER_SIZE,
  IPV6_SOURCE,
  ipPacketLength,
  ipVersion,
  UPPER_FRAGMENT,
  UPPER_OFFSET_MASK,
  UPPER_ROUTED,
  upperLayer,
} from './ip-header.ts';
import { paddedLength, TRANSPORT_OVERHEAD } from './transport.ts';
import {
  VNET_CSUM_OFFSET,
  VNET_CSUM_START,
  VNET_F_NEEDS_CSUM,
  VNET_F_UDP_TUNNEL_CSUM,
  VNET_FLAGS,
  VNET_GSO_ECN,
  VNET_GSO_NONE,
  VNET_GSO_SIZE,
  VNET_GSO_TCPV4,
  VNET_GSO_TCPV6,
  VNET_GSO_TYPE,
  VNET_GSO_UDP_L4,
  VNET_GSO_UDP_TUNNEL_IPV4,
  VNET_GSO_UDP_TUNNEL_IPV6,
  VNET_HDR_LEN,
} from './vnet-header.ts';

/** Enough for a 64 KiB packet in 16-byte segments. A packet with more segments is malformed. */
export const MAX_SEGMENTS = 4096;

/** How to split a packet. */
export const SPLIT_COPY = 0;
export const SPLIT_CHECKSUM = 1;
export const SPLIT_TCP = 2;
export const SPLIT_UDP = 3;

export const TCP_SEQUENCE = 4;
export const TCP_FLAGS = 13;
export const TCP_CHECKSUM = 16;
export const UDP_HEADER_SIZE = 8;
export const UDP_LENGTH = 4;
export const UDP_CHECKSUM = 6;

const LARGEST_IPV4 = 65535;
const TUNNEL_TYPES = VNET_GSO_UDP_TUNNEL_IPV4 | VNET_GSO_UDP_TUNNEL_IPV6;

/**
 * The plan for one packet. The same object is reused for all packets. Offsets count from the start
 * of the packet.
 */
export class SplitPlan {
  /** Number of segments. 0: the packet is malformed and the other fields are meaningless. */
  count = 0;
  /** Offset of the packet in the slab, after its vnet header. */
  packet = 0;
  /** Bytes of the unsplit packet. */
  length = 0;
  /** 4 or 6, of the packet. */
  version = 0;
  /** SPLIT_*. */
  action = SPLIT_COPY;
  /**
   * Bytes of the IP and TCP or UDP headers, which every segment repeats; `length` if the packet is
   * not split.
   */
  headers = 0;
  /** Payload bytes of every segment except the last. */
  unit = 0;
  /** Offset of the range that the checksum covers, which begins with the TCP or UDP header. */
  upper = 0;
  /** Offset of the checksum field. */
  field = 0;
  /** The pseudo header's sum without the length (SPLIT_TCP and SPLIT_UDP). */
  pseudo = 0;
  /** Offset of the UDP header of a tunnel around the packet to split; 0: no tunnel. */
  tunnel = 0;
  /** Offset of the IP header before `upper`; 0: no tunnel. */
  inner = 0;
  /** 4 or 6, of that header. */
  innerVersion = 0;
  /** Whether the tunnel's UDP header has a checksum. */
  tunnelSummed = false;
  /** As `pseudo`, for the tunnel's UDP header. */
  tunnelPseudo = 0;

  /**
   * Plans the split of a vnet header and packet that were read from a TUN (packet/batch.ts).
   * @returns the number of segments; 0 if the packet is malformed
   */
  read(slab: Uint8Array, offset: number, length: number): number {
    this.count = 0;
    this.packet = offset + VNET_HEADER_SIZE;
    this.length = length - VNET_HEADER_SIZE;
    this.version = ipVersion(slab, this.packet, this.length);
    if (this.version === 0) return 0;
    this.tunnel = this.inner = 0;
    this.innerVersion = this.version;
    const type = slab[offset + VNET_GSO_TYPE]! & ~VNET_GSO_ECN;
    const inner = type & ~TUNNEL_TYPES;
    if (type === VNET_GSO_NONE) this.readWhole(slab, offset);
    else if (type !== inner && !this.readTunnel(slab, offset, type & TUNNEL_TYPES)) return 0;
    else if (inner === VNET_GSO_TCPV4 && this.innerVersion === 4) this.readSuper(slab, offset, SPLIT_TCP);
    else if (inner === VNET_GSO_TCPV6 && this.innerVersion === 6) this.readSuper(slab, offset, SPLIT_TCP);
    else if (inner === VNET_GSO_UDP_L4) this.readSuper(slab, offset, SPLIT_UDP);
    return this.count;
  }

  /** Returns the size of a segment with its headers, without padding. */
  segmentLength(index: number): number {
    if (this.action < SPLIT_TCP) return this.length;
    const left = this.length - this.headers - index * this.unit;
    return this.headers + Math.min(left, this.unit);
  }

  /**
   * Returns the size of the largest message: that of the first segment, because only the last one
   * may be shorter.
   */
  messageSize(mtu: number): number {
    return this.count === 0 ? 0 : TRANSPORT_OVERHEAD + paddedLength(this.segmentLength(0), mtu);
  }

  /**
   * Returns the total size of all segments as transport messages. `mtu` of the interface determines
   * the padding.
   */
  sealedSize(mtu: number): number {
    if (this.count === 0) return 0;
    const last = TRANSPORT_OVERHEAD + paddedLength(this.segmentLength(this.count - 1), mtu);
    if (this.count === 1) return last;
    return (this.count - 1) * this.messageSize(mtu) + last;
  }

  private readWhole(slab: Uint8Array, offset: number): void {
    if (ipPacketLength(slab, this.packet, this.length) === 0) return;
    this.headers = this.length;
    this.action = SPLIT_COPY;
    if (slab[offset + VNET_FLAGS]! & VNET_F_NEEDS_CSUM) {
      this.upper = readU16le(slab, offset + VNET_CSUM_START);
      this.field = this.upper + readU16le(slab, offset + VNET_CSUM_OFFSET);
      if (this.field + 2 > this.length) return;
      this.action = SPLIT_CHECKSUM;
    }
    this.count = 1;
  }

  /**
   * Finds the UDP header of the tunnel and the IP header inside it. Each segment repeats what lies
   * between the two. @returns false if they are malformed
   */
  private readTunnel(slab: Uint8Array, offset: number, type: number): boolean {
    const at = this.packet;
    if (type !== (this.version === 4 ? VNET_GSO_UDP_TUNNEL_IPV4 : VNET_GSO_UDP_TUNNEL_IPV6)) return false;
    if ((slab[offset + VNET_FLAGS]! & VNET_F_NEEDS_CSUM) === 0) return false;
    const found = upperLayer(slab, at, this.length);
    if (found < 0 || (found & (UPPER_FRAGMENT | UPPER_ROUTED)) !== 0 || (found & 0xff) !== PROTOCOL_UDP) return false;
    const tunnel = (found & UPPER_OFFSET_MASK) >> 8;
    const inner = readU16le(slab, offset + VNET_HDR_LEN);
    if (inner < tunnel + UDP_HEADER_SIZE || inner > this.length) return false;
    this.tunnel = tunnel;
    this.inner = inner;
    this.innerVersion = ipVersion(slab, at + inner, this.length - inner);
    this.tunnelSummed =
      (slab[offset + VNET_FLAGS]! & VNET_F_UDP_TUNNEL_CSUM) !== 0 || readU16be(slab, at + tunnel + UDP_CHECKSUM) !== 0;
    this.tunnelPseudo =
      this.version === 4
        ? pseudoHeader(slab, at + IPV4_SOURCE, 4, PROTOCOL_UDP)
        : pseudoHeader(slab, at + IPV6_SOURCE, 16, PROTOCOL_UDP);
    return this.innerVersion !== 0;
  }

  private readSuper(slab: Uint8Array, offset: number, action: number): void {
    const at = this.packet;
    if (this.length > (this.version === 4 ? LARGEST_IPV4 : LARGEST_IPV4 + IPV6_HEADER_SIZE)) return;
    const found = upperLayer(slab, at + this.inner, this.length - this.inner);
    if (found < 0 || (found & UPPER_FRAGMENT) !== 0) return;
    if ((found & 0xff) !== (action === SPLIT_TCP ? PROTOCOL_TCP : PROTOCOL_UDP)) return;
    const upper = this.inner + ((found & UPPER_OFFSET_MASK) >> 8);
    const headers = upper + upperHeaderSize(slab, at + upper, this.length - upper, action);
    const unit = readU16le(slab, offset + VNET_GSO_SIZE);
    if (headers === upper || unit === 0) return;
    const checksumOffset = action === SPLIT_TCP ? TCP_CHECKSUM : UDP_CHECKSUM;
    const field = upper + checksumOffset;
    if (slab[offset + VNET_FLAGS]! & VNET_F_NEEDS_CSUM) {
      if (readU16le(slab, offset + VNET_CSUM_START) !== upper) return;
      if (readU16le(slab, offset + VNET_CSUM_OFFSET) !== checksumOffset) return;
      // the field holds the pseudo header's sum with the length of the unsplit packet: subtract
      // that length in ones' complement
      this.pseudo = readU16be(slab, at + field) + (0xffff - (this.length - upper));
    } else {
      if (found & UPPER_ROUTED) return;
      this.pseudo =
        this.version === 4
          ? pseudoHeader(slab, at + IPV4_SOURCE, 4, found & 0xff)
          : pseudoHeader(slab, at + IPV6_SOURCE, 16, found & 0xff);
    }
    const count = Math.max(1, Math.ceil((this.length - headers) / unit));
    if (count > MAX_SEGMENTS) return;
    this.action = action;
    this.headers = headers;
    this.unit = unit;
    this.upper = upper;
    this.field = field;
    this.count = count;
  }
}

/** Returns only the number of segments (see SplitPlan.read). */
export function segmentCount(slab: Uint8Array, offset: number, length: number): number {
  return scratch.read(slab, offset, length);
}

/**
 * Returns the size of the TCP header with options, or of the UDP header; 0 if the header is
 * truncated or malformed.
 */
function upperHeaderSize(slab: Uint8Array, at: number, available: number, action: number): number {
  if (action === SPLIT_UDP) return available >= UDP_HEADER_SIZE ? UDP_HEADER_SIZE : 0;
  if (available < 20) return 0;
  const size = (slab[at + 12]! >> 4) << 2;
  return size >= 20 && size <= available ? size : 0;
}

const scratch = new SplitPlan();
