/**
 * The receiving batch path (kernel receive.c). It sorts datagrams by type and opens transport
 * messages in one call. Then it checks each message in the order of arrival: replay, confirmation,
 * roaming, length, source. Creates no object per message.
 */
import { ENDPOINT_SIZE } from '../base/endpoint.ts';
import {
  DATAGRAM_LENGTH,
  DATAGRAM_OFFSET,
  DATAGRAM_SEGMENT,
  DATAGRAM_STRIDE,
  DATAGRAM_TOS,
  type DatagramBatch,
} from '../packet/batch.ts';
import { readI32le, readU32le } from '../packet/byte-order.ts';
import {
  decapsulateEcn,
  ECN_CE,
  ECN_MASK,
  IPV4_SOURCE,
  IPV6_SOURCE,
  ipPacketLength,
  ipVersion,
} from '../packet/ip-header.ts';
import {
  MESSAGE_COOKIE_REPLY,
  MESSAGE_INITIATION,
  MESSAGE_RESPONSE,
  MESSAGE_TRANSPORT,
  messageType,
} from '../packet/message-type.ts';
import {
  TRANSPORT_COUNTER,
  TRANSPORT_HEADER_SIZE,
  TRANSPORT_OVERHEAD,
  TRANSPORT_RECEIVER,
} from '../packet/transport.ts';
import { KEEPALIVE_TIMEOUT, REJECT_AFTER_TIME, REKEY_TIMEOUT } from './constants.ts';
import { type Device, MAX_DELIVERIES } from './device.ts';
import { type HandshakeQueue, handshakeComplete, takeCookieReply } from './handshake-queue.ts';
import { Incoming } from './incoming.ts';
import { Keypair } from './keypair.ts';
import { forgetAll, type Peer } from './peer.ts';
import { setEndpoint } from './roaming.ts';
import type { Sender } from './sender.ts';
import {
  OPEN_COUNTER_HIGH,
  OPEN_COUNTER_LOW,
  OPEN_KEY,
  OPEN_LENGTH,
  OPEN_OFFSET,
  OPEN_RESULT,
  OPEN_STRIDE,
  OPEN_USER,
} from './transport-cipher.ts';

/** Bits of Peer.batchReceived. */
const RECEIVED = 1;
const RECEIVED_DATA = 2;

export class Inbound {
  readonly #device: Device;
  readonly #sender: Sender;
  readonly #queue: HandshakeQueue;
  /** For what is opened at once. */
  readonly #own = new Incoming();
  readonly #touched: Peer[] = [];
  /** What receive() fills at the moment. */
  #incoming = this.#own;

  constructor(device: Device, sender: Sender, queue: HandshakeQueue) {
    this.#device = device;
    this.#sender = sender;
    this.#queue = queue;
  }

  /**
   * Processes the datagrams of a batch from index `from` on.
   * @param later takes the transport messages, which the caller opens before accept(); if absent,
   * they are opened and accepted at once
   * @returns batch.count, or the index of the first datagram that had no room
   */
  receive(batch: DatagramBatch, from: number, now: number, later?: Incoming): number {
    const { desc } = batch;
    const incoming = later ?? this.#own;
    this.#incoming = incoming;
    incoming.count = 0;
    let i = from;
    for (; i < batch.count; i++) {
      const at = i * DATAGRAM_STRIDE;
      const length = desc[at + DATAGRAM_LENGTH]!;
      const given = desc[at + DATAGRAM_SEGMENT]!;
      const segment = given > 0 ? given : length;
      const most = Math.ceil(length / Math.max(segment, TRANSPORT_OVERHEAD));
      if (length <= 0 || most > MAX_DELIVERIES) {
        // empty, or more messages than any port delivers in a batch
        this.#device.counters.malformedDatagram++;
        continue;
      }
      if (incoming.count + most > MAX_DELIVERIES) break;
      for (let done = 0; done < length; done += segment)
        this.#sort(batch, i, desc[at + DATAGRAM_OFFSET]! + done, Math.min(segment, length - done), now);
    }
    if (!later && incoming.count > 0) {
      this.#device.cipher.open(batch.slab, incoming.jobs, incoming.count);
      this.accept(batch, incoming, now);
    }
    return i;
  }

  #sort(batch: DatagramBatch, number: number, offset: number, length: number, now: number): void {
    const { counters, indices } = this.#device;
    const { slab } = batch;
    switch (messageType(slab, offset, length)) {
      case MESSAGE_TRANSPORT: {
        const at = offset + TRANSPORT_RECEIVER;
        // most messages of a batch belong to one session
        const { count, keypairs } = this.#incoming;
        const last = count > 0 ? keypairs[count - 1]! : undefined;
        const isSame = last !== undefined && (last.localIndex | 0) === readI32le(slab, at);
        const keypair = isSame ? last : indices.lookup(readU32le(slab, at));
        if (!(keypair instanceof Keypair)) counters.unknownReceiver++;
        else if (!keypair.canReceive(now)) counters.expiredKey++;
        else this.#addJob(slab, offset, length, keypair, number);
        break;
      }
      case MESSAGE_INITIATION:
        this.#queue.push(slab, offset, MESSAGE_INITIATION, batch.endpoints, number * ENDPOINT_SIZE);
        break;
      case MESSAGE_RESPONSE:
        this.#queue.push(slab, offset, MESSAGE_RESPONSE, batch.endpoints, number * ENDPOINT_SIZE);
        break;
      case MESSAGE_COOKIE_REPLY:
        takeCookieReply(this.#device, slab, offset, now);
        break;
      default:
        counters.malformedDatagram++;
    }
  }

  #addJob(slab: Uint8Array, offset: number, length: number, keypair: Keypair<Peer>, number: number): void {
    const { jobs, keypairs } = this.#incoming;
    const at = this.#incoming.count * OPEN_STRIDE;
    jobs[at + OPEN_OFFSET] = offset;
    jobs[at + OPEN_LENGTH] = length;
    jobs[at + OPEN_KEY] = keypair.receiveSlot;
    jobs[at + OPEN_COUNTER_LOW] = readI32le(slab, offset + TRANSPORT_COUNTER);
    jobs[at + OPEN_COUNTER_HIGH] = readI32le(slab, offset + TRANSPORT_COUNTER + 4);
    jobs[at + OPEN_RESULT] = -1;
    jobs[at + OPEN_USER] = number;
    keypairs[this.#incoming.count++] = keypair;
  }

  /** Judges opened messages in the order of their arrival, and delivers their packets. */
  accept(batch: DatagramBatch, incoming: Incoming, now: number): void {
    const { counters, output } = this.#device;
    const { jobs, keypairs } = incoming;
    const touched = this.#touched;
    output.deliveries.slab = batch.slab;
    // messages of one range (UDP_GRO) share a source: set it once per run of messages of one peer
    let placed: Peer | undefined;
    let placedBy = -1;
    for (let job = 0; job < incoming.count; job++) {
      const at = job * OPEN_STRIDE;
      const length = jobs[at + OPEN_RESULT]!;
      const keypair = keypairs[job]!;
      if (length < 0) {
        counters.badTag++;
        continue;
      }
      if (!keypair.replay.accept(jobs[at + OPEN_COUNTER_LOW]! >>> 0, jobs[at + OPEN_COUNTER_HIGH]! >>> 0)) {
        counters.replayed++;
        continue;
      }
      const { peer } = keypair;
      if (peer.removed) continue;
      const number = jobs[at + OPEN_USER]!;
      if (peer !== placed || number !== placedBy) {
        setEndpoint(this.#device, peer, batch.endpoints, number * ENDPOINT_SIZE);
        placed = peer;
        placedBy = number;
      }
      if (peer.batchReceived === 0) touched.push(peer);
      peer.batchReceived |= RECEIVED;
      if (peer.keypairs.confirm(keypair)) handshakeComplete(this.#device, peer);
      peer.rxBytes += jobs[at + OPEN_LENGTH]!;
      if (length === 0) continue; // a keepalive
      peer.batchReceived |= RECEIVED_DATA;
      const tos = batch.desc[number * DATAGRAM_STRIDE + DATAGRAM_TOS]!;
      this.#deliver(batch.slab, jobs[at + OPEN_OFFSET]! + TRANSPORT_HEADER_SIZE, length, peer, tos);
    }
    for (let t = 0; t < touched.length; t++) this.#afterReceive(touched[t]!, now);
    forgetAll(touched);
  }

  #deliver(slab: Uint8Array, offset: number, length: number, peer: Peer, tos: number): void {
    const { allowedIps, counters, output } = this.#device;
    const packet = ipPacketLength(slab, offset, length);
    if (packet === 0) {
      counters.malformedPacket++;
      return;
    }
    const owner =
      ipVersion(slab, offset, packet) === 4
        ? allowedIps.lookup(slab, offset + IPV4_SOURCE, 4)
        : allowedIps.lookup(slab, offset + IPV6_SOURCE, 16);
    if (owner !== peer.id) {
      counters.sourceNotAllowed++;
      return;
    }
    // only "congestion experienced" is copied to the inner packet, as in the kernel's WireGuard
    if (tos >= 0 && (tos & ECN_MASK) === ECN_CE) decapsulateEcn(slab, offset, tos);
    output.addDelivery(offset, packet);
  }

  /**
   * Updates a peer's timers after its messages, once per batch (kernel
   * wg_packet_consume_data_done).
   */
  #afterReceive(peer: Peer, now: number): void {
    const data = (peer.batchReceived & RECEIVED_DATA) !== 0;
    peer.batchReceived = 0;
    peer.timers.anyAuthenticatedPacketReceived();
    peer.timers.anyAuthenticatedPacketTraversal(now);
    if (data) peer.timers.dataReceived(now);
    // a session that was just confirmed releases the staged packets
    if (!peer.staged.empty) this.#sender.flush(peer, now);
    // the initiator's last chance to renew the session before it stops receiving
    const keypair = peer.keypairs.current;
    const last = REJECT_AFTER_TIME - KEEPALIVE_TIMEOUT - REKEY_TIMEOUT;
    if (!peer.sentLastMinuteHandshake && keypair?.maySend && keypair.initiator && now - keypair.born >= last) {
      peer.sentLastMinuteHandshake = true;
      this.#sender.initiate(peer, now);
    }
  }
}
