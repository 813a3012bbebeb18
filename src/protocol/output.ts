/**
 * The engine's output after an input: datagrams to send, packets to write to the TUN, events. The
 * caller drains all of it before the next input. Datagrams are written directly into one slab;
 * adjacent messages of one size become one range for UDP_SEGMENT (udp(7)).
 */
import { ENDPOINT_SIZE } from '../base/endpoint.ts';
import {
  DATAGRAM_ERROR,
  DATAGRAM_LENGTH,
  DATAGRAM_OFFSET,
  DATAGRAM_SEGMENT,
  DATAGRAM_STRIDE,
  DATAGRAM_TOS,
  type DatagramBatch,
  makePacketBatch,
  PACKET_STRIDE,
  type PacketBatch,
} from '../packet/batch.ts';
import { LARGEST_DATAGRAM_IPV4 } from '../packet/transport.ts';
import { Outgoing } from './outgoing.ts';
import type { Peer } from './peer.ts';

/** The kernel's limits of one UDP_SEGMENT send: 64 segments, and the size of an IPv4 datagram. */
const MAX_SEGMENTS = 64;
const MAX_RANGE = LARGEST_DATAGRAM_IPV4;
/** Room that packets leave free, for handshakes and keepalives. */
const CONTROL_BYTES = 16 * 1024;
const CONTROL_DATAGRAMS = 64;
const LARGEST_CONTROL = 256;
const NOTHING = new Uint8Array(0);

/** An event of the engine, for a log. */
export interface EngineEvent {
  /** What happened. */
  readonly kind:
    | 'initiation-sent'
    | 'response-sent'
    | 'session'
    | 'handshake-given-up'
    | 'keys-erased'
    | 'endpoint-changed'
    | 'cookie-sent'
    | 'cookie-received';
  /** The public key of the peer concerned, 32 bytes. Absent if no peer is known. */
  readonly publicKey?: Uint8Array;
}

/** Packets from tunnels, in the slab of the received batch. */
export interface Deliveries extends PacketBatch {
  slab: Uint8Array;
}

export class Output {
  /** Datagrams to send, with the jobs of those that are not sealed yet. */
  outgoing: Outgoing;
  deliveries: Deliveries;
  /** Packets that the engine wrote for the local host: ICMP errors. */
  readonly locals: PacketBatch;
  readonly events: EngineEvent[] = [];
  readonly #makeOutgoing: () => Outgoing;
  readonly #makeDeliveries: () => Deliveries;
  /** What was lent and came back. */
  readonly #spareOutgoing: Outgoing[] = [];
  readonly #spareDeliveries: Deliveries[] = [];
  /** The most datagrams of `transmits`. A field: a private getter is slow until it is inlined. */
  readonly #capacity: number;
  #used = 0;
  #localsUsed = 0;
  #reservedBytes = 0;
  #reservedDatagrams = 0;
  /** The open range's peer, and whether the range is complete. */
  #runPeer: Peer | undefined;
  #runClosed = true;
  #runSegments = 0;

  constructor(slabSize: number, datagrams: number, deliveries: number) {
    this.#capacity = datagrams;
    this.#makeOutgoing = () => new Outgoing(slabSize, datagrams);
    this.#makeDeliveries = () => ({ slab: NOTHING, desc: new Int32Array(deliveries * PACKET_STRIDE), count: 0 });
    this.outgoing = this.#makeOutgoing();
    this.deliveries = this.#makeDeliveries();
    this.locals = makePacketBatch(64 * 1024, 64);
  }

  /** Clears all output; call it after draining. */
  clear(): void {
    this.outgoing.clear();
    this.deliveries.count = 0;
    this.locals.count = 0;
    // setting the length is a call into V8's runtime, and most inputs cause no event
    if (this.events.length > 0) this.events.length = 0;
    this.#used = 0;
    this.#localsUsed = 0;
    this.#runClosed = true;
  }

  /** Datagrams to send. */
  get transmits(): DatagramBatch {
    return this.outgoing.batch;
  }

  /** Gives the datagrams away, and goes on with an empty batch. */
  lendOutgoing(): Outgoing {
    const lent = this.outgoing;
    this.outgoing = this.#spareOutgoing.pop() ?? this.#makeOutgoing();
    this.#used = 0;
    this.#runClosed = true;
    return lent;
  }

  outgoingBack(outgoing: Outgoing): void {
    outgoing.forgetLost();
    outgoing.clear();
    this.#spareOutgoing.push(outgoing);
  }

  /** Gives the packets for the TUN away, and goes on with an empty batch. */
  lendDeliveries(): Deliveries {
    const lent = this.deliveries;
    this.deliveries = this.#spareDeliveries.pop() ?? this.#makeDeliveries();
    return lent;
  }

  deliveriesBack(deliveries: Deliveries): void {
    deliveries.slab = NOTHING;
    deliveries.count = 0;
    this.#spareDeliveries.push(deliveries);
  }

  /** Frees the memory of batches that are not in use. */
  shrink(): void {
    this.#spareOutgoing.length = 0;
    this.#spareDeliveries.length = 0;
  }

  get empty(): boolean {
    return this.transmits.count + this.deliveries.count + this.locals.count + this.events.length === 0;
  }

  /** The offset of the next message in the slab of `transmits`. */
  get cursor(): number {
    return this.#used;
  }

  /**
   * Reports whether `bytes` of packets in `datagrams` datagrams fit, leaving room for control
   * messages.
   */
  hasRoom(bytes: number, datagrams: number): boolean {
    return (
      this.#used + this.#reservedBytes + bytes <= this.transmits.slab.length - CONTROL_BYTES &&
      this.transmits.count + this.#reservedDatagrams + datagrams <= this.#capacity - CONTROL_DATAGRAMS
    );
  }

  /**
   * Reserves room for packets that are sealed later in this input.
   * @returns false if there is no room
   */
  reserve(bytes: number, datagrams: number): boolean {
    if (!this.hasRoom(bytes, datagrams)) return false;
    this.#reservedBytes += bytes;
    this.#reservedDatagrams += datagrams;
    return true;
  }

  /** Ends all reservations, when their packets have been written. */
  release(): void {
    this.#reservedBytes = 0;
    this.#reservedDatagrams = 0;
  }

  /** Reports whether that many handshake messages or keepalives fit. */
  hasControlRoom(messages = 1): boolean {
    return (
      this.#used + messages * LARGEST_CONTROL <= this.transmits.slab.length &&
      this.transmits.count + messages <= this.#capacity
    );
  }

  /**
   * Reports whether packets do not fit even into an empty output: waiting for room would never end.
   */
  exceeds(bytes: number, datagrams: number): boolean {
    return bytes > this.transmits.slab.length - CONTROL_BYTES || datagrams > this.#capacity - CONTROL_DATAGRAMS;
  }

  /** Adds the single message at the cursor, to an endpoint record at an offset. */
  addMessage(length: number, tos: number, endpoints: Uint8Array, at: number, peer: Peer | undefined): void {
    this.#runClosed = true;
    this.#open(length, 0, tos, endpoints, at, peer);
    this.#runClosed = true;
    this.#used += length;
  }

  /**
   * Adds messages at an offset at or after the cursor, to a peer's endpoint. Each has `segment`
   * bytes; the last may be shorter. Every iteration adds at least one message, whatever its size.
   */
  addSegments(peer: Peer, offset: number, length: number, segment: number, tos: number): void {
    const { desc } = this.transmits;
    if (offset !== this.#used) this.#runClosed = true;
    this.#used = offset;
    let left = length;
    while (left > 0) {
      let at = (this.transmits.count - 1) * DATAGRAM_STRIDE;
      const follows =
        !this.#runClosed &&
        this.#runPeer === peer &&
        desc[at + DATAGRAM_TOS] === tos &&
        desc[at + DATAGRAM_SEGMENT]! >= Math.min(segment, left) &&
        // only the last message of a range may be shorter
        (desc[at + DATAGRAM_SEGMENT] === segment || left <= segment);
      let room = follows
        ? Math.min(MAX_SEGMENTS - this.#runSegments, Math.floor((MAX_RANGE - desc[at + DATAGRAM_LENGTH]!) / segment))
        : 0;
      if (room <= 0) {
        this.#open(0, segment, tos, peer.endpoint, 0, peer);
        this.#runPeer = peer;
        this.#runClosed = false;
        this.#runSegments = 0;
        at = (this.transmits.count - 1) * DATAGRAM_STRIDE;
        room = messagesPerRange(segment);
      }
      const take = Math.min(left, room * segment);
      desc[at + DATAGRAM_LENGTH]! += take;
      this.#runSegments += Math.ceil(take / segment);
      if (take % desc[at + DATAGRAM_SEGMENT]! !== 0) this.#runClosed = true;
      this.#used += take;
      left -= take;
    }
  }

  addDelivery(offset: number, length: number): void {
    const at = this.deliveries.count++ * PACKET_STRIDE;
    this.deliveries.desc[at] = offset;
    this.deliveries.desc[at + 1] = length;
  }

  /**
   * Reserves room for a local packet of up to `bytes`, with headroom before it. @returns its
   * offset, or -1
   */
  reserveLocal(bytes: number, headroom: number): number {
    const full = (this.locals.count + 1) * PACKET_STRIDE > this.locals.desc.length;
    return full || this.#localsUsed + headroom + bytes > this.locals.slab.length ? -1 : this.#localsUsed + headroom;
  }

  addLocal(offset: number, length: number): void {
    const at = this.locals.count++ * PACKET_STRIDE;
    this.locals.desc[at] = offset;
    this.locals.desc[at + 1] = length;
    this.#localsUsed = offset + length;
  }

  event(kind: EngineEvent['kind'], peer?: Peer): void {
    this.events.push(peer ? { kind, publicKey: peer.publicKey } : { kind });
  }

  #open(length: number, segment: number, tos: number, endpoints: Uint8Array, at: number, peer: Peer | undefined): void {
    const number = this.transmits.count++;
    const { desc } = this.transmits;
    const field = number * DATAGRAM_STRIDE;
    desc[field + DATAGRAM_OFFSET] = this.#used;
    desc[field + DATAGRAM_LENGTH] = length;
    desc[field + DATAGRAM_SEGMENT] = segment;
    desc[field + DATAGRAM_TOS] = tos;
    desc[field + DATAGRAM_ERROR] = 0;
    for (let i = 0; i < ENDPOINT_SIZE; i++) this.transmits.endpoints[number * ENDPOINT_SIZE + i] = endpoints[at + i]!;
    this.outgoing.peers[number] = peer;
  }
}

/**
 * Returns the most datagram descriptors that messages of `segment` bytes may need. One of them is
 * for the first messages, which may complete an open range.
 */
export function mostRanges(messages: number, segment: number): number {
  return 1 + Math.ceil(messages / messagesPerRange(segment));
}

/**
 * Returns how many messages fit into a range, at least 1. Messages too large for the kernel are not
 * created; it would refuse them.
 */
function messagesPerRange(segment: number): number {
  return Math.max(1, Math.min(MAX_SEGMENTS, Math.floor(MAX_RANGE / segment)));
}
