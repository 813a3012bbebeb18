/**
 * Ranges as a TUN device delivers them, a vnet header before a packet: built field by field, and
 * split by the TypeScript twin.
 */
import { VNET_HEADER_SIZE } from '../../src/packet/batch.ts';
import { SplitPlan } from '../../src/packet/segments.ts';
import { writeSegment } from '../../src/packet/split.ts';
import { headersOf, type IpShape, ipPacket, PLAIN, TCP, UDP } from './ip-packet.ts';

/** struct virtio_net_hdr (linux/virtio_net.h). */
export interface Vnet {
  readonly flags: number;
  readonly gsoType: number;
  readonly headerLength: number;
  readonly gsoSize: number;
  readonly csumStart: number;
  readonly csumOffset: number;
}

export const NEEDS_CSUM = 1;
export const TUNNEL_CSUM = 8;
export const GSO = { none: 0, tcp4: 1, udp: 3, tcp6: 4, udpL4: 5, tunnel4: 0x20, tunnel6: 0x40, ecn: 0x80 } as const;

export function writeVnet(to: Uint8Array, at: number, vnet: Vnet): void {
  const view = new DataView(to.buffer, to.byteOffset + at, VNET_HEADER_SIZE);
  view.setUint8(0, vnet.flags);
  view.setUint8(1, vnet.gsoType);
  view.setUint16(2, vnet.headerLength, true);
  view.setUint16(4, vnet.gsoSize, true);
  view.setUint16(6, vnet.csumStart, true);
  view.setUint16(8, vnet.csumOffset, true);
}

/** Returns the header that Linux writes for a packet to be split into pieces of `gsoSize`. */
export function vnetOf(shape: IpShape, gsoSize: number): Vnet {
  const tcp = shape.protocol === TCP;
  const headers = headersOf(shape);
  return {
    flags: NEEDS_CSUM,
    gsoType: tcp ? (shape.version === 4 ? GSO.tcp4 : GSO.tcp6) : GSO.udpL4,
    headerLength: headers,
    gsoSize,
    csumStart: headers - (tcp ? 20 + shape.tcpOptions.length : 8),
    csumOffset: tcp ? 16 : 6,
  };
}

/** Returns a range. @param vnet fields of the vnet header to override */
export function superPacket(change: Partial<IpShape>, gsoSize: number, vnet: Partial<Vnet> = {}): Uint8Array {
  const shape: IpShape = { ...PLAIN, sum: 'partial', ...change };
  return rangeOf({ ...vnetOf(shape, gsoSize), ...vnet }, ipPacket(shape));
}

/**
 * Returns a range with a super-packet inside a UDP tunnel, as native/tun.c leaves it: headerLength
 * is the offset of the inner IP header.
 * @param before what lies between the UDP header and the inner packet
 * @param summed whether the UDP header of the tunnel has a checksum
 */
export function tunnelPacket(
  outer: Partial<IpShape>,
  before: Uint8Array,
  inner: Partial<IpShape>,
  gsoSize: number,
  summed: boolean,
): { readonly vnet: Vnet; readonly packet: Uint8Array } {
  const shape: IpShape = { ...PLAIN, sum: 'partial', ...inner };
  const payload = Uint8Array.of(...before, ...ipPacket(shape));
  const packet = ipPacket({ ...outer, protocol: UDP, payload, sum: summed ? 'partial' : 0 });
  const at = packet.length - payload.length + before.length;
  const vnet = vnetOf(shape, gsoSize);
  return {
    vnet: {
      ...vnet,
      flags: NEEDS_CSUM | (summed ? TUNNEL_CSUM : 0),
      gsoType: vnet.gsoType | (packet[0]! >> 4 === 4 ? GSO.tunnel4 : GSO.tunnel6),
      headerLength: at,
      csumStart: at + vnet.csumStart,
    },
    packet,
  };
}

export function rangeOf(vnet: Partial<Vnet>, packet: Uint8Array): Uint8Array {
  const range = new Uint8Array(VNET_HEADER_SIZE + packet.length);
  writeVnet(range, 0, { flags: 0, gsoType: 0, headerLength: 0, gsoSize: 0, csumStart: 0, csumOffset: 0, ...vnet });
  range.set(packet, VNET_HEADER_SIZE);
  return range;
}

/**
 * Returns all segments, or none if the range is malformed. Reads and writes at odd offsets, so that
 * nothing relies on offset 0.
 */
export function splitAll(range: Uint8Array): Uint8Array[] {
  const slab = new Uint8Array(range.length + 7);
  slab.set(range, 5);
  const plan = new SplitPlan();
  const count = plan.read(slab, 5, range.length);
  return Array.from({ length: count }, (_, index) => {
    const out = new Uint8Array(plan.segmentLength(index) + 6).fill(0xee);
    const length = writeSegment(slab, plan, index, out, 3);
    if (length !== plan.segmentLength(index)) throw new Error(`segment ${index}: ${length} bytes`);
    if (out.some((byte, i) => (i < 3 || i >= 3 + length) && byte !== 0xee)) throw new Error('wrote beyond its bytes');
    return out.slice(3, 3 + length);
  });
}

/** Returns 0, 1, 2, ... so that each payload byte shows its position. */
export function counting(length: number): Uint8Array {
  return new Uint8Array(length).map((_, i) => i + (i >> 8));
}
