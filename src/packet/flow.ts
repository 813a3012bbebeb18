/**
 * Decides whether an IP packet is a TCP or UDP segment that may be merged with its neighbours, and
 * compares segments for the merge (the kernel's inet_gro_receive, ipv6_gro_receive,
 * tcp_gro_receive, udp_gro_receive).
 */
import { readU16be, readU32be } from './byte-order.ts';
import { addRange, fold, PROTOCOL_TCP, PROTOCOL_UDP, pseudoHeader } from './checksum.ts';
import {
  IPV4_DESTINATION,
  IPV4_FRAGMENT,
  IPV4_FRAGMENT_MASK,
  IPV4_HEADER_SIZE,
  IPV4_PROTOCOL,
  IPV4_SOURCE,
  IPV4_TOTAL_LENGTH,
  IPV6_HEADER_SIZE,
  IPV6_NEXT_HEADER,
  IPV6_PAYLOAD_LENGTH,
  IPV6_SOURCE,
} from './ip-header.ts';
import { TCP_FLAGS, UDP_CHECKSUM, UDP_HEADER_SIZE, UDP_LENGTH } from './segments.ts';

/**
 * A TCP or UDP packet that must not be merged (FIN, no payload, ...). It keeps its place: later
 * packets of its flow must not overtake it.
 */
export const FLOW_SINGLE = 1;
/** A segment that may be merged. */
export const FLOW_MERGE = 2;
/**
 * A packet that may belong to any flow (a fragment, options, malformed). No later packet may
 * overtake it.
 */
export const FLOW_BARRIER = 3;
/** A packet of another protocol, which belongs to no TCP or UDP flow. */
export const FLOW_OTHER = 0;

const TCP_ACK = 0x10;
export const TCP_PSH = 0x08;

/**
 * Where the kernel itself ends VXLAN: only there may it get merged packets in tunnels, because any
 * other receiver would get a merged packet as one datagram.
 */
export interface Overlay {
  /** Of UDP; 0: nowhere. */
  readonly port: number;
  /** IPv4, as a number. */
  readonly address: number;
}

const VXLAN_HEADER_SIZE = 8;
const ETHERNET_HEADER_SIZE = 14;
const ETHERTYPE = 12;
/** The flag "a network identifier is present"; everything else in the word is reserved. */
const VXLAN_FLAGS = 0x08000000;

/** The parsed fields of a packet. One object is reused for all packets. Numbers are bytes. */
export class FlowPacket {
  /** FLOW_*. */
  kind = FLOW_OTHER;
  at = 0;
  length = 0;
  /** 4 or 6. */
  version = 0;
  protocol = 0;
  /** Bytes of the IP header, which has no options. */
  upper = 0;
  /** Bytes of the IP header and the TCP or UDP header. */
  headers = 0;
  /** Whether this is UDP without a checksum. */
  unsummed = false;
  /** Offset of the IP header in VXLAN, if TCP in it may be merged; 0: it may not. */
  inner = 0;
  /** 4 or 6, of that header. */
  innerVersion = 0;
  /** Offset of the TCP header in VXLAN. */
  innerUpper = 0;

  read(slab: Uint8Array, at: number, length: number, overlay?: Overlay): void {
    this.at = at;
    this.length = length;
    this.kind = FLOW_BARRIER;
    this.unsummed = false;
    this.inner = 0;
    if (length < IPV4_HEADER_SIZE) return;
    if (slab[at] === 0x45) this.readIpv4(slab);
    else if (slab[at]! >> 4 === 6 && length >= IPV6_HEADER_SIZE) this.readIpv6(slab);
    if (overlay !== undefined && this.kind === FLOW_MERGE && this.version === 4 && this.protocol === PROTOCOL_UDP)
      this.readOverlay(slab, overlay);
  }

  /** Returns the offset of the TCP or UDP header whose payload is merged. */
  get last(): number {
    return this.inner === 0 ? this.upper : this.innerUpper;
  }

  /** Compares addresses and ports of the packets in VXLAN, and the headers before those packets. */
  sameInner(slab: Uint8Array, other: FlowPacket): boolean {
    const before = this.upper + UDP_HEADER_SIZE;
    const source = this.inner + (this.innerVersion === 4 ? IPV4_SOURCE : IPV6_SOURCE);
    return (
      this.inner === other.inner &&
      this.innerVersion === other.innerVersion &&
      sameRange(slab, this.at + before, other.at + before, this.inner - before) &&
      sameRange(slab, this.at + source, other.at + source, this.innerUpper + 4 - source)
    );
  }

  /**
   * Reports whether the packet at `other`, of the same version, has the same addresses, protocol
   * and ports.
   */
  sameFlow(slab: Uint8Array, other: number): boolean {
    const source = this.version === 4 ? IPV4_SOURCE : IPV6_SOURCE;
    const protocol = this.version === 4 ? IPV4_PROTOCOL : IPV6_NEXT_HEADER;
    // the ports directly follow the addresses, because there are no options
    return (
      slab[this.at + protocol] === slab[other + protocol] &&
      sameRange(slab, this.at + source, other + source, this.upper + 4 - source)
    );
  }

  /**
   * Reports whether the IPv4 header checksum and the upper-layer checksum are correct. UDP over
   * IPv4 may lack the latter.
   */
  sumsAreRight(slab: Uint8Array): boolean {
    if (this.inner !== 0 && !this.innerSumsAreRight(slab)) return false;
    const upperLength = this.length - this.upper;
    let sum = upperLength;
    if (this.version === 4) {
      if (fold(addRange(0, slab, this.at, IPV4_HEADER_SIZE)) !== 0xffff) return false;
      if (this.unsummed) return true;
      sum += pseudoHeader(slab, this.at + IPV4_SOURCE, 4, this.protocol);
    } else sum += pseudoHeader(slab, this.at + IPV6_SOURCE, 16, this.protocol);
    return fold(addRange(sum, slab, this.at + this.upper, upperLength)) === 0xffff;
  }

  private innerSumsAreRight(slab: Uint8Array): boolean {
    const inner = this.at + this.inner;
    const length = this.length - this.innerUpper;
    let sum = length;
    if (this.innerVersion === 4) {
      if (fold(addRange(0, slab, inner, IPV4_HEADER_SIZE)) !== 0xffff) return false;
      sum += pseudoHeader(slab, inner + IPV4_SOURCE, 4, PROTOCOL_TCP);
    } else sum += pseudoHeader(slab, inner + IPV6_SOURCE, 16, PROTOCOL_TCP);
    return fold(addRange(sum, slab, this.at + this.innerUpper, length)) === 0xffff;
  }

  /**
   * If this is a TCP segment that may be merged, in VXLAN to the overlay's port and address, notes
   * where its headers are. Anything else is merged as UDP.
   */
  private readOverlay(slab: Uint8Array, { port, address }: Overlay): void {
    const vxlan = this.upper + UDP_HEADER_SIZE;
    const inner = vxlan + VXLAN_HEADER_SIZE + ETHERNET_HEADER_SIZE;
    const at = this.at + vxlan;
    if (readU16be(slab, this.at + this.upper + 2) !== port) return;
    if (readU32be(slab, this.at + IPV4_DESTINATION) !== address) return;
    if (this.length <= inner || readU32be(slab, at) !== VXLAN_FLAGS || slab[at + 7] !== 0) return;
    scratch.read(slab, this.at + inner, this.length - inner);
    if (scratch.kind !== FLOW_MERGE || scratch.protocol !== PROTOCOL_TCP) return;
    if (readU16be(slab, at + VXLAN_HEADER_SIZE + ETHERTYPE) !== (scratch.version === 4 ? 0x0800 : 0x86dd)) return;
    this.inner = inner;
    this.innerVersion = scratch.version;
    this.innerUpper = inner + scratch.upper;
    this.headers = inner + scratch.headers;
  }

  private readIpv4(slab: Uint8Array): void {
    const at = this.at;
    if (readU16be(slab, at + IPV4_TOTAL_LENGTH) !== this.length) return;
    const protocol = slab[at + IPV4_PROTOCOL]!;
    if ((readU16be(slab, at + IPV4_FRAGMENT) & IPV4_FRAGMENT_MASK) !== 0) return;
    this.version = 4;
    this.upper = IPV4_HEADER_SIZE;
    this.readUpper(slab, protocol);
  }

  private readIpv6(slab: Uint8Array): void {
    const at = this.at;
    if (readU16be(slab, at + IPV6_PAYLOAD_LENGTH) + IPV6_HEADER_SIZE !== this.length) return;
    this.version = 6;
    this.upper = IPV6_HEADER_SIZE;
    const protocol = slab[at + IPV6_NEXT_HEADER]!;
    // any protocol may follow an extension header
    if (protocol === 0 || protocol === 43 || protocol === 44 || protocol === 51 || protocol === 60) return;
    this.readUpper(slab, protocol);
  }

  private readUpper(slab: Uint8Array, protocol: number): void {
    const at = this.at + this.upper;
    const available = this.length - this.upper;
    this.protocol = protocol;
    if (protocol === PROTOCOL_TCP) {
      if (available < 20) return;
      const header = (slab[at + 12]! >> 4) << 2;
      if (header < 20 || header > available) return;
      this.headers = this.upper + header;
      const plain = (slab[at + 12]! & 15) === 0 && (slab[at + TCP_FLAGS]! & ~TCP_PSH) === TCP_ACK;
      this.kind = plain && header < available ? FLOW_MERGE : FLOW_SINGLE;
    } else if (protocol === PROTOCOL_UDP) {
      if (available < UDP_HEADER_SIZE || readU16be(slab, at + UDP_LENGTH) !== available) return;
      this.headers = this.upper + UDP_HEADER_SIZE;
      this.unsummed = readU16be(slab, at + UDP_CHECKSUM) === 0;
      // over IPv6 a missing checksum is an error (RFC 8200 section 8.1): merging must not add one
      const plain = available > UDP_HEADER_SIZE && !(this.unsummed && this.version === 6);
      this.kind = plain ? FLOW_MERGE : FLOW_SINGLE;
    } else this.kind = FLOW_OTHER;
  }
}

const scratch = new FlowPacket();

/** Reports whether two ranges of one slab are equal. */
export function sameRange(slab: Uint8Array, a: number, b: number, length: number): boolean {
  for (let i = 0; i < length; i++) if (slab[a + i] !== slab[b + i]) return false;
  return true;
}
