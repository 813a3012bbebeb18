/**
 * What the engine has to say after an input: datagrams to send, packets to write to the TUN, events. The caller drains all of
 * it before the next input. Datagrams are written straight into one slab; messages of one size that stand one behind another
 * there become one range for UDP_SEGMENT (udp(7)).
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
  makeDatagramBatch,
  makePacketBatch,
  PACKET_STRIDE,
  type PacketBatch,
} from '../packet/batch.ts';
import { LARGEST_DATAGRAM_IPV4 } from '../packet/transport.ts';
import type { Peer } from './peer.ts';

/** What the kernel takes in one UDP_SEGMENT send: at most 64 segments, and what fits an IPv4 datagram. */
const MAX_SEGMENTS = 64;
const MAX_RANGE = LARGEST_DATAGRAM_IPV4;
/** Room that packets leave for handshakes and keepalives. */
const CONTROL_BYTES = 16 * 1024;
const CONTROL_DATAGRAMS = 64;
const LARGEST_CONTROL = 256;

/** Something that happened, for a log. */
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
  /** Key of the peer that it happened to, 32 bytes. Absent where no peer is known. */
  readonly publicKey?: Uint8Array;
}

export class Output {
  readonly transmits: DatagramBatch;
  /** Whose datagrams these are, one for each of `transmits`; undefined for cookie replies. */
  readonly transmitPeers: (Peer | undefined)[] = [];
  /** Packets out of tunnels, in the slab of the batch that was received. */
  readonly deliveries: { slab: Uint8Array; readonly desc: Int32Array; count: number };
  /** Packets that the engine itself wrote for the local host: ICMP errors. */
  readonly locals: PacketBatch;
  readonly events: EngineEvent[] = [];
  #used = 0;
  #localsUsed = 0;
  #reservedBytes = 0;
  #reservedDatagrams = 0;
  /** The open range: its peer, and whether nothing may follow. */
  #runPeer: Peer | undefined;
  #runClosed = true;
  #runSegments = 0;

  constructor(slabSize: number, datagrams: number, deliveries: number) {
    this.transmits = makeDatagramBatch(slabSize, datagrams);
    this.deliveries = {
      slab: this.transmits.slab,
      desc: new Int32Array(deliveries * PACKET_STRIDE),
      count: 0,
    };
    this.locals = makePacketBatch(64 * 1024, 64);
  }

  /** Forgets all; for the caller, when it has drained. */
  clear(): void {
    this.transmits.count = 0;
    this.deliveries.count = 0;
    this.locals.count = 0;
    this.events.length = 0;
    this.#used = 0;
    this.#localsUsed = 0;
    this.#runClosed = true;
  }

  /** Where the next message goes in the slab of `transmits`. */
  get cursor(): number {
    return this.#used;
  }

  /** Whether so many bytes of packets in so many datagrams fit, with room to spare for control messages. */
  hasRoom(bytes: number, datagrams: number): boolean {
    return (
      this.#used + this.#reservedBytes + bytes <= this.transmits.slab.length - CONTROL_BYTES &&
      this.transmits.count + this.#reservedDatagrams + datagrams <= this.#capacity - CONTROL_DATAGRAMS
    );
  }

  /** Takes room for packets that will be sealed later in this input, if there is. */
  reserve(bytes: number, datagrams: number): boolean {
    if (!this.hasRoom(bytes, datagrams)) return false;
    this.#reservedBytes += bytes;
    this.#reservedDatagrams += datagrams;
    return true;
  }

  /** Ends all reservations, for what they were taken for is now being written. */
  release(): void {
    this.#reservedBytes = 0;
    this.#reservedDatagrams = 0;
  }

  /** Whether so many handshake messages or keepalives fit. */
  hasControlRoom(messages = 1): boolean {
    return (
      this.#used + messages * LARGEST_CONTROL <= this.transmits.slab.length &&
      this.transmits.count + messages <= this.#capacity
    );
  }

  /** More than there is room for even when all has been drained: waiting would never end. */
  exceeds(bytes: number, datagrams: number): boolean {
    return bytes > this.transmits.slab.length - CONTROL_BYTES || datagrams > this.#capacity - CONTROL_DATAGRAMS;
  }

  /** A single message at the cursor, to an endpoint record at an offset. */
  addMessage(length: number, tos: number, endpoints: Uint8Array, at: number, peer: Peer | undefined): void {
    this.#runClosed = true;
    this.#open(length, 0, tos, endpoints, at, peer);
    this.#runClosed = true;
    this.#used += length;
  }

  /**
   * Messages from an offset at or behind the cursor, `segment` bytes each and the last perhaps shorter, to a peer's endpoint. Each turn
   * takes at least one message, whatever its size.
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
        // a shorter one may only be the last of its range
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

  /** Room for a local packet of up to so many bytes, with headroom before it. -1 when there is none. */
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

  get #capacity(): number {
    return this.transmits.desc.length / DATAGRAM_STRIDE;
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
    this.transmitPeers[number] = peer;
  }
}

/** The most datagram descriptors that messages take, of which all but the last have `segment` bytes: the first may end an open range. */
export function mostRanges(messages: number, segment: number): number {
  return 1 + Math.ceil(messages / messagesPerRange(segment));
}

/** One at least: what is too large for the kernel is not made, and if it were the kernel would refuse it. */
function messagesPerRange(segment: number): number {
  return Math.max(1, Math.min(MAX_SEGMENTS, Math.floor(MAX_RANGE / segment)));
}
