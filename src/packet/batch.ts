/**
 * Batches of bytes: one permanent slab and an Int32Array of descriptors. All ports, the engine and
 * all native functions exchange batches, so that no packet becomes an object. Numbers are bytes
 * unless stated otherwise.
 */
import { ENDPOINT_SIZE } from '../base/endpoint.ts';

/** The largest possible count: only the space in the slab limits the batch. */
export const MAX_BATCH = 0x7fffffff;

/** Field of a packet descriptor: offset of the packet in the slab. */
export const PACKET_OFFSET = 0;
/** Field of a packet descriptor: length of the packet. */
export const PACKET_LENGTH = 1;
/**
 * Number of fields of a packet descriptor: descriptor i begins at `i * PACKET_STRIDE` in `desc`.
 */
export const PACKET_STRIDE = 2;

/**
 * IP packets between a TUN device and the engine: ranges of one slab, listed by descriptors.
 *
 * A packet read from a TUN begins with a virtio_net_hdr (VNET_HEADER_SIZE bytes, all zero without
 * offloads) and may be a super-packet to be split. A packet to write to a TUN is one bare IP packet
 * with at least VNET_HEADROOM bytes of slab before it, which the writer may overwrite.
 */
export interface PacketBatch {
  /** The bytes of all packets. */
  readonly slab: Uint8Array;
  /** PACKET_STRIDE numbers for each packet; its size is the batch's capacity. */
  readonly desc: Int32Array;
  /** Number of packets. */
  count: number;
}

/** Bytes of struct virtio_net_hdr without mergeable buffers (linux/virtio_net.h). */
export const VNET_HEADER_SIZE = 10;
/** Bytes of slab before a packet that the writer to a TUN may overwrite. */
export const VNET_HEADROOM = 16;

/** Field of a datagram descriptor: offset of the range in the slab. */
export const DATAGRAM_OFFSET = 0;
/** Field of a datagram descriptor: length of the range. */
export const DATAGRAM_LENGTH = 1;
/**
 * Field of a datagram descriptor: 0 if the range is one datagram. Otherwise the range holds several
 * datagrams (UDP_SEGMENT, UDP_GRO) of this size each; only the last may be shorter.
 */
export const DATAGRAM_SEGMENT = 2;
/**
 * Field of a datagram descriptor: the IPv4 TOS or IPv6 traffic class byte of the outer header. On
 * receive, -1 means unknown.
 */
export const DATAGRAM_TOS = 3;
/**
 * Field of a datagram descriptor. On send, the port sets it to 0, or to the positive errno with
 * which the kernel refused the datagram finally.
 */
export const DATAGRAM_ERROR = 4;
/**
 * Number of fields of a datagram descriptor: descriptor i begins at `i * DATAGRAM_STRIDE` in
 * `desc`.
 */
export const DATAGRAM_STRIDE = 5;

/** UDP datagrams that were received or will be sent: ranges of one slab, listed by descriptors. */
export interface DatagramBatch {
  /** The bytes of all datagrams. */
  readonly slab: Uint8Array;
  /** DATAGRAM_STRIDE numbers for each datagram; its size is the batch's capacity. */
  readonly desc: Int32Array;
  /** An endpoint record for each datagram: number i is at `i * ENDPOINT_SIZE`. */
  readonly endpoints: Uint8Array;
  /** Number of descriptors. */
  count: number;
}

/**
 * Makes an empty batch of packets.
 * @param slabSize bytes for all packets together
 * @param capacity the most packets
 */
export function makePacketBatch(slabSize: number, capacity: number): PacketBatch {
  return { slab: new Uint8Array(slabSize), desc: new Int32Array(capacity * PACKET_STRIDE), count: 0 };
}

/**
 * Makes an empty batch of datagrams.
 * @param slabSize bytes for all datagrams together
 * @param capacity the most descriptors
 */
export function makeDatagramBatch(slabSize: number, capacity: number): DatagramBatch {
  return {
    slab: new Uint8Array(slabSize),
    desc: new Int32Array(capacity * DATAGRAM_STRIDE),
    endpoints: new Uint8Array(capacity * ENDPOINT_SIZE),
    count: 0,
  };
}

/** Counts the datagrams of a batch. A range that holds several datagrams counts each of them. */
export function datagramsIn({ desc, count }: DatagramBatch): number {
  let sum = 0;
  for (let at = 0; at < count * DATAGRAM_STRIDE; at += DATAGRAM_STRIDE) {
    const segment = desc[at + DATAGRAM_SEGMENT]!;
    sum += segment > 0 ? Math.ceil(desc[at + DATAGRAM_LENGTH]! / segment) : 1;
  }
  return sum;
}
