/** Batches of bare IP packets for tests, and the result of a merge, taken apart again. */
import {
  makePacketBatch,
  PACKET_LENGTH,
  PACKET_OFFSET,
  PACKET_STRIDE,
  type PacketBatch,
  VNET_HEADROOM,
} from '../../src/packet/batch.ts';
import {
  Coalescer,
  GROUP_COUNT,
  GROUP_CSUM_OFFSET,
  GROUP_CSUM_START,
  GROUP_FIRST,
  GROUP_GSO_SIZE,
  GROUP_GSO_TYPE,
  GROUP_HEADERS,
  GROUP_LENGTH,
  GROUP_STRIDE,
  GROUP_TUNNEL_SUMMED,
  MERGE_TCP4,
  MERGE_TCP6,
  MERGE_TUNNEL,
  MERGE_UDP,
} from '../../src/packet/coalesce.ts';
import { GSO, NEEDS_CSUM, rangeOf, TUNNEL_CSUM } from './super-packet.ts';
import { OVERLAY } from './vxlan-packet.ts';

export const MERGE_ALL = MERGE_TCP4 | MERGE_TCP6 | MERGE_UDP | MERGE_TUNNEL;

/**
 * Builds a batch of consecutive packets, each with the headroom that a writer to a TUN device
 * needs.
 */
export function packetBatch(packets: readonly Uint8Array[]): PacketBatch {
  const batch = makePacketBatch(
    packets.reduce((sum, packet) => sum + VNET_HEADROOM + packet.length, 0),
    packets.length,
  );
  let at = 0;
  for (const packet of packets) {
    at += VNET_HEADROOM;
    batch.slab.set(packet, at);
    batch.desc[batch.count * PACKET_STRIDE + PACKET_OFFSET] = at;
    batch.desc[batch.count * PACKET_STRIDE + PACKET_LENGTH] = packet.length;
    at += packet.length;
    batch.count++;
  }
  return batch;
}

export interface Merged {
  /** Indices of the packets, in order. */
  readonly members: readonly number[];
  readonly gsoType: number;
  readonly gsoSize: number;
  /**
   * The data that the kernel receives: vnet header, the first packet, the others without their
   * headers.
   */
  readonly range: Uint8Array;
}

/** Merges with the TypeScript twin. @throws Error if a group contradicts itself */
export function mergePackets(packets: readonly Uint8Array[], allowed = MERGE_ALL): Merged[] {
  const { slab, desc, count } = packetBatch(packets);
  const coalescer = new Coalescer(Math.max(count, 1));
  const made = coalescer.merge(slab, desc, count, allowed, OVERLAY);
  return gather(slab, desc, coalescer.groups, coalescer.next, made);
}

/** Returns what a writer would write for each group. */
export function gather(
  slab: Uint8Array,
  desc: Int32Array,
  groups: Int32Array,
  next: Int32Array,
  made: number,
): Merged[] {
  return Array.from({ length: made }, (_, g) => {
    const group = groups.subarray(g * GROUP_STRIDE, (g + 1) * GROUP_STRIDE);
    const members: number[] = [];
    const parts: Uint8Array[] = [];
    for (let i = group[GROUP_FIRST]!; i >= 0; i = next[i]!) {
      const offset = desc[i * PACKET_STRIDE + PACKET_OFFSET]!;
      const skip = members.length === 0 ? 0 : group[GROUP_HEADERS]!;
      parts.push(slab.subarray(offset + skip, offset + desc[i * PACKET_STRIDE + PACKET_LENGTH]!));
      members.push(i);
      if (members.length > next.length) throw new Error('a group without end');
    }
    const packet = Buffer.concat(parts);
    if (members.length !== group[GROUP_COUNT] || packet.length !== group[GROUP_LENGTH])
      throw new Error(`group ${g}: ${members.length} packets, ${packet.length} bytes; it says ${group}`);
    const alone = members.length === 1;
    if (alone && group.subarray(GROUP_HEADERS, GROUP_STRIDE).some((value, i) => i !== 1 && value !== 0))
      throw new Error(`group ${g}: one packet alone, and an offload: ${group}`);
    const type = group[GROUP_GSO_TYPE]!;
    const csumStart = group[GROUP_CSUM_START]!;
    const summed = type & GROUP_TUNNEL_SUMMED ? TUNNEL_CSUM : 0;
    const vnet = {
      flags: alone ? 0 : NEEDS_CSUM | summed,
      gsoType: type & 0xff,
      headerLength: type & GSO.tunnel4 ? csumStart - (type & GSO.tcp6 ? 40 : 20) : group[GROUP_HEADERS]!,
      gsoSize: group[GROUP_GSO_SIZE]!,
      csumStart,
      csumOffset: group[GROUP_CSUM_OFFSET]!,
    };
    return { members, gsoType: vnet.gsoType, gsoSize: vnet.gsoSize, range: rangeOf(vnet, packet) };
  });
}
