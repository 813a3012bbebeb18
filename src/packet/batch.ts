/**
 * Batches of bytes: one slab that lives forever and an Int32Array of descriptors beside it. Every port, the engine and
 * every native function speak these, so that no packet ever becomes an object. Numbers are bytes unless said otherwise.
 */
import { ENDPOINT_SIZE } from '../base/endpoint.ts';

/** More than any batch holds: as many as there is room for. */
export const MAX_BATCH = 0x7fffffff;

/** Fields of one packet descriptor. */
export const PACKET_OFFSET = 0;
export const PACKET_LENGTH = 1;
export const PACKET_STRIDE = 2;

/**
 * IP packets between a TUN and the engine.
 * Read from a TUN: each range begins with a virtio_net_hdr (VNET_HEADER_SIZE bytes, all zero when there is no offload) and
 * then the packet, which may be a super-packet to be split. To be written to a TUN: each range is one bare IP packet with at
 * least VNET_HEADROOM bytes of slab before it that the writer may overwrite.
 */
export interface PacketBatch {
  readonly slab: Uint8Array;
  readonly desc: Int32Array;
  count: number;
}

/** sizeof(struct virtio_net_hdr) without mergeable buffers (linux/virtio_net.h). */
export const VNET_HEADER_SIZE = 10;
export const VNET_HEADROOM = 16;

/** Fields of one datagram descriptor. */
export const DATAGRAM_OFFSET = 0;
export const DATAGRAM_LENGTH = 1;
/** Bytes of each datagram when several stand in one range (UDP_SEGMENT, UDP_GRO), the last may be shorter; 0: it is one. */
export const DATAGRAM_SEGMENT = 2;
/** The IPv4 TOS or IPv6 traffic class byte of the outer header; -1 on receive when not known. */
export const DATAGRAM_TOS = 3;
/** On send, filled by the port: 0 or the positive errno with which the kernel refused it for good. */
export const DATAGRAM_ERROR = 4;
export const DATAGRAM_STRIDE = 5;

/** UDP datagrams, received or to be sent; the endpoint record of number i is at i * ENDPOINT_SIZE in `endpoints`. */
export interface DatagramBatch {
  readonly slab: Uint8Array;
  readonly desc: Int32Array;
  readonly endpoints: Uint8Array;
  count: number;
}

export function makePacketBatch(slabSize: number, capacity: number): PacketBatch {
  return { slab: new Uint8Array(slabSize), desc: new Int32Array(capacity * PACKET_STRIDE), count: 0 };
}

export function makeDatagramBatch(slabSize: number, capacity: number): DatagramBatch {
  return {
    slab: new Uint8Array(slabSize),
    desc: new Int32Array(capacity * DATAGRAM_STRIDE),
    endpoints: new Uint8Array(capacity * ENDPOINT_SIZE),
    count: 0,
  };
}

/** How many datagrams a batch has, those that stand in one range counted one by one. */
export function datagramsIn({ desc, count }: DatagramBatch): number {
  let sum = 0;
  for (let at = 0; at < count * DATAGRAM_STRIDE; at += DATAGRAM_STRIDE) {
    const segment = desc[at + DATAGRAM_SEGMENT]!;
    sum += segment > 0 ? Math.ceil(desc[at + DATAGRAM_LENGTH]! / segment) : 1;
  }
  return sum;
}
