/**
 * Sends everything to peers (kernel send.c): initiations, keepalives, staged packets and, in
 * batches, packets from the TUN. Reserves the counters of each seal job (fillJob), and begins a new
 * handshake once a session is old or has sent many messages (afterSend). The batch path creates no
 * objects and calls the cipher once.
 */
import { ENDPOINT_FAMILY } from '../base/endpoint.ts';
import { VNET_HEADER_SIZE } from '../packet/batch.ts';
import { INITIATION_SIZE } from '../packet/initiation.ts';
import { ECN_CE, ECN_ECT0, ECN_MASK, ipVersion, trafficClass } from '../packet/ip-header.ts';
import { SplitPlan } from '../packet/segments.ts';
import { largestDatagram, TRANSPORT_OVERHEAD } from '../packet/transport.ts';
import { HANDSHAKE_TOS, REKEY_AFTER_TIME, REKEY_TIMEOUT } from './constants.ts';
import type { Device } from './device.ts';
import { createInitiation } from './handshake.ts';
import type { Keypair } from './keypair.ts';
import { mostRanges } from './output.ts';
import type { Peer } from './peer.ts';
import { TIMER_FLUSH_STAGED } from './peer-timers.ts';
import {
  SEAL_COUNT,
  SEAL_COUNTER_HIGH,
  SEAL_COUNTER_LOW,
  SEAL_KEY,
  SEAL_LENGTH,
  SEAL_MTU,
  SEAL_OFFSET,
  SEAL_OUT_LENGTH,
  SEAL_OUT_OFFSET,
  SEAL_OUT_SEGMENT,
  SEAL_RECEIVER,
  SEAL_STRIDE,
} from './transport-cipher.ts';

const KEEPALIVE = new Uint8Array(VNET_HEADER_SIZE);

export class Sender {
  readonly #device: Device;
  readonly #job = new Int32Array(SEAL_STRIDE);
  readonly #plan = new SplitPlan();

  constructor(device: Device) {
    this.#device = device;
  }

  /**
   * Sends an initiation unless one was sent within REKEY_TIMEOUT.
   * @param retry true for the retransmission timer, which counts attempts; false resets the count
   */
  initiate(peer: Peer, now: number, retry = false): void {
    const { output, counters } = this.#device;
    if (!retry) peer.handshakeAttempts = 0;
    if (now - peer.lastSentHandshake < REKEY_TIMEOUT || !peer.hasEndpoint) return;
    if (!output.hasControlRoom()) {
      peer.timers.set(TIMER_FLUSH_STAGED, now);
      return;
    }
    const out = output.transmits.slab.subarray(output.cursor, output.cursor + INITIATION_SIZE);
    if (!createInitiation(this.#device, peer, out)) return;
    peer.cookies.addMacs(out, now);
    peer.lastSentHandshake = now;
    output.addMessage(INITIATION_SIZE, HANDSHAKE_TOS, peer.endpoint, 0, peer);
    peer.txBytes += INITIATION_SIZE;
    this.authenticatedSent(peer, now);
    peer.timers.handshakeInitiated(now);
    counters.initiationsSent++;
    output.event('initiation-sent', peer);
  }

  /** Sends an empty message, or the staged packets if there are any. */
  keepalive(peer: Peer, now: number): void {
    if (peer.staged.empty) peer.staged.push(KEEPALIVE, 0, VNET_HEADER_SIZE, 1);
    this.flush(peer, now);
  }

  /**
   * Sends staged packets while there is a session and room. Begins a handshake if there is no
   * session.
   */
  flush(peer: Peer, now: number): void {
    const { output, cipher, counters } = this.#device;
    const plan = this.#plan;
    let dataSent = false;
    let sent = false;
    for (let packet = peer.staged.first; packet; packet = peer.staged.first) {
      const keypair = peer.keypairs.current;
      if (!keypair?.canSend(packet.segments, now)) {
        this.initiate(peer, now);
        break;
      }
      const { bytes, segments } = packet;
      const empty = bytes.length === VNET_HEADER_SIZE;
      if (!empty) plan.read(bytes, 0, bytes.length);
      const message = empty ? TRANSPORT_OVERHEAD : plan.messageSize(this.#device.mtu);
      const size = empty ? TRANSPORT_OVERHEAD : plan.sealedSize(this.#device.mtu);
      const ranges = mostRanges(segments, message);
      // the packet was small enough when staged, but the MTU or the endpoint's family has changed
      // since
      if (message > largestDatagram(peer.endpoint[ENDPOINT_FAMILY]!) || output.exceeds(size, ranges)) {
        peer.staged.shift();
        counters.oversized++;
        continue;
      }
      if (!output.hasRoom(size, ranges)) {
        peer.timers.set(TIMER_FLUSH_STAGED, now);
        break;
      }
      const job = this.#job;
      this.fillJob(job, 0, keypair, 0, bytes.length, segments, output.cursor);
      cipher.seal(bytes, output.transmits.slab, job, 1);
      peer.staged.shift();
      if (this.emitJob(job, 0, peer, empty ? 0 : outerTos(bytes, VNET_HEADER_SIZE, bytes.length - VNET_HEADER_SIZE))) {
        sent = true;
        if (!empty) dataSent = true;
      }
    }
    if (sent) this.afterSend(peer, dataSent, now);
  }

  /** Fills one seal job and consumes its counters. The caller has checked keypair.canSend. */
  fillJob(
    jobs: Int32Array,
    at: number,
    keypair: Keypair,
    offset: number,
    length: number,
    count: number,
    outOffset: number,
  ): void {
    jobs[at + SEAL_OFFSET] = offset;
    jobs[at + SEAL_LENGTH] = length;
    jobs[at + SEAL_KEY] = keypair.sendSlot;
    jobs[at + SEAL_RECEIVER] = keypair.remoteIndex;
    jobs[at + SEAL_COUNTER_LOW] = keypair.counterLow;
    jobs[at + SEAL_COUNTER_HIGH] = keypair.counterHigh;
    jobs[at + SEAL_COUNT] = count;
    jobs[at + SEAL_OUT_OFFSET] = outOffset;
    jobs[at + SEAL_MTU] = this.#device.mtu;
    jobs[at + SEAL_OUT_LENGTH] = 0;
    jobs[at + SEAL_OUT_SEGMENT] = 0;
    keypair.advance(count);
  }

  /** Adds a sealed job to the output. @returns false if the cipher refused it */
  emitJob(jobs: Int32Array, at: number, peer: Peer, tos: number): boolean {
    const length = jobs[at + SEAL_OUT_LENGTH]!;
    if (length <= 0) {
      this.#device.counters.sealRefused++;
      return false;
    }
    this.#device.output.addSegments(peer, jobs[at + SEAL_OUT_OFFSET]!, length, jobs[at + SEAL_OUT_SEGMENT]!, tos);
    peer.txBytes += length;
    return true;
  }

  /** Updates a peer's timers after messages were sent to it (kernel wg_packet_create_data_done). */
  afterSend(peer: Peer, data: boolean, now: number): void {
    this.authenticatedSent(peer, now);
    if (data) peer.timers.dataSent(now);
    const keypair = peer.keypairs.current;
    // keep_key_fresh: the initiator renews by age; a responder only after too many messages
    if (keypair?.maySend && (keypair.worn || (keypair.initiator && now - keypair.born >= REKEY_AFTER_TIME)))
      this.initiate(peer, now);
  }

  authenticatedSent(peer: Peer, now: number): void {
    peer.timers.anyAuthenticatedPacketTraversal(now);
    peer.timers.anyAuthenticatedPacketSent();
  }
}

/**
 * Returns the outer TOS byte of a packet: its congestion bits, with "experienced" replaced by
 * ECT(0) (RFC 6040 section 4.1, without compatibility mode).
 */
export function outerTos(slab: Uint8Array, at: number, length: number): number {
  if (ipVersion(slab, at, length) === 0) return 0;
  const ecn = trafficClass(slab, at) & ECN_MASK;
  return ecn === ECN_CE ? ECN_ECT0 : ecn;
}
