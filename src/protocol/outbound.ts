/**
 * The sending batch path (kernel device.c, wg_xmit): routes packets from the TUN, groups them by
 * peer, assigns counters, seals them in one call and lays them out for sending. Creates no object
 * per packet.
 */
import { ENDPOINT_FAMILY } from '../base/endpoint.ts';
import {
  PACKET_LENGTH,
  PACKET_OFFSET,
  PACKET_STRIDE,
  type PacketBatch,
  VNET_HEADER_SIZE,
  VNET_HEADROOM,
} from '../packet/batch.ts';
import { ICMP_MAXIMUM_SIZE, writeTooBig, writeUnreachable } from '../packet/icmp.ts';
import { IPV4_DESTINATION, IPV6_DESTINATION } from '../packet/ip-header.ts';
import { SplitPlan } from '../packet/segments.ts';
import { largestDatagram, largestPacket } from '../packet/transport.ts';
import type { Device } from './device.ts';
import type { OutboundState } from './engine-state.ts';
import { LoopGuard } from './loop-guard.ts';
import { MOST_JOBS } from './outgoing.ts';
import { mostRanges } from './output.ts';
import { forgetAll, type Peer } from './peer.ts';
import { outerTos, type Sender } from './sender.ts';
import { SEAL_OUT_LENGTH, SEAL_OUT_SEGMENT, SEAL_STRIDE } from './transport-cipher.ts';

/** ICMP errors per second, possibly in one burst: a busy sender needs only an occasional one. */
const ICMP_PER_SECOND = 100;

export class Outbound {
  readonly #device: Device;
  readonly #sender: Sender;
  readonly #loops: LoopGuard;
  readonly #split = new SplitPlan();
  readonly #next = new Int32Array(MOST_JOBS);
  readonly #segments = new Int32Array(MOST_JOBS);
  readonly #sizes = new Int32Array(MOST_JOBS);
  readonly #messages = new Int32Array(MOST_JOBS);
  readonly #tos = new Int32Array(MOST_JOBS);
  readonly #jobTos = new Int32Array(MOST_JOBS);
  readonly #touched: Peer[] = [];
  #cursor = 0;
  #icmpSecond = 0;
  #icmpCount = 0;

  constructor(device: Device, sender: Sender) {
    this.#device = device;
    this.#sender = sender;
    this.#loops = new LoopGuard(device);
  }

  /**
   * Sends the packets of a batch from index `from` on.
   * @param later whether to leave the packets unsealed, in `output.outgoing`
   * @returns batch.count, or the index of the first packet that had no room
   */
  send(batch: PacketBatch, from: number, now: number, later = false): number {
    const { output } = this.#device;
    const { outgoing } = output;
    const touched = this.#touched;
    const end = this.#gather(batch, from, now);
    let jobs = 0;
    this.#cursor = output.cursor;
    for (let t = 0; t < touched.length; t++) jobs = this.#plan(touched[t]!, batch, from, jobs, now);
    output.release();
    outgoing.input = batch.slab;
    outgoing.jobCount = jobs;
    if (!later) outgoing.seal(this.#device.cipher);
    let job = 0;
    for (let t = 0; t < touched.length; t++) {
      const peer = touched[t]!;
      peer.batchSent = false;
      for (; job < peer.batchLast; job++)
        if (this.#sender.emitJob(outgoing.jobs, job * SEAL_STRIDE, peer, this.#jobTos[job]!)) peer.batchSent = true;
    }
    // no other output may be added before this point: the messages were sealed at the output's
    // cursor
    for (let t = 0; t < touched.length; t++) {
      const peer = touched[t]!;
      if (peer.batchSent) this.#sender.afterSend(peer, true, now);
      if (!peer.staged.empty) this.#sender.flush(peer, now);
      // its packets found no room to wait, but they ask for a session as well
      else if (!peer.batchSent && !peer.keypairs.current?.canSend(1, now)) this.#sender.initiate(peer, now);
    }
    forgetAll(touched);
    return end;
  }

  save(): OutboundState {
    return { icmpSecond: this.#icmpSecond, icmpCount: this.#icmpCount, ...this.#loops.save() };
  }

  restore(state: OutboundState): void {
    this.#icmpSecond = state.icmpSecond;
    this.#icmpCount = state.icmpCount;
    this.#loops.restore(state);
  }

  /**
   * Finds the peer of each packet and chains the packets of each peer.
   * @returns the index of the first packet that was not taken
   */
  #gather(batch: PacketBatch, from: number, now: number): number {
    const { counters, output, mtu } = this.#device;
    const { slab, desc } = batch;
    const split = this.#split;
    let i = from;
    for (; i < batch.count && i - from < MOST_JOBS; i++) {
      const offset = desc[i * PACKET_STRIDE + PACKET_OFFSET]!;
      const segments = split.read(slab, offset, desc[i * PACKET_STRIDE + PACKET_LENGTH]!);
      if (segments === 0) {
        counters.malformedOutbound++;
        continue;
      }
      const peer = this.#route(slab, offset + VNET_HEADER_SIZE, split.version, split.length, now);
      if (!peer) continue;
      const message = split.messageSize(mtu);
      const size = split.sealedSize(mtu);
      const ranges = mostRanges(segments, message);
      const family = peer.endpoint[ENDPOINT_FAMILY]!;
      // drop it before it is staged or gets a counter, since it can never be sent
      if (message > largestDatagram(family) || output.exceeds(size, ranges)) {
        counters.oversized++;
        if (message > largestDatagram(family)) this.#tooBig(slab, offset + VNET_HEADER_SIZE, split.length, family, now);
        continue;
      }
      // staged packets go first
      if (peer.batchFirst < 0 && !peer.staged.empty) this.#sender.flush(peer, now);
      if (!output.reserve(size, ranges)) break;
      const slot = i - from;
      this.#segments[slot] = segments;
      this.#sizes[slot] = size;
      this.#messages[slot] = message;
      this.#tos[slot] = outerTos(slab, offset + VNET_HEADER_SIZE, split.length);
      this.#next[slot] = -1;
      if (peer.batchFirst < 0) {
        peer.batchFirst = slot;
        this.#touched.push(peer);
      } else this.#next[peer.batchLast] = slot;
      peer.batchLast = slot;
    }
    return i;
  }

  /**
   * Fills the seal jobs of a peer's packets, or stages the packets.
   * @returns the number of jobs so far, also stored in batchLast
   */
  #plan(peer: Peer, batch: PacketBatch, from: number, jobs: number, now: number): number {
    const { counters, output } = this.#device;
    const filled = output.outgoing.jobs;
    const { desc, slab } = batch;
    for (let slot = peer.batchFirst; slot >= 0; slot = this.#next[slot]!) {
      const at = (from + slot) * PACKET_STRIDE;
      const offset = desc[at + PACKET_OFFSET]!;
      const length = desc[at + PACKET_LENGTH]!;
      const segments = this.#segments[slot]!;
      const keypair = peer.keypairs.current;
      if (!peer.staged.empty || !keypair?.canSend(segments, now)) {
        counters.stagedOverflow += peer.staged.push(slab, offset, length, segments);
        continue;
      }
      this.#jobTos[jobs] = this.#tos[slot]!;
      const job = jobs * SEAL_STRIDE;
      this.#sender.fillJob(filled, job, keypair, offset, length, segments, this.#cursor);
      // predicted: the datagrams are laid out even if they are sealed later
      filled[job + SEAL_OUT_LENGTH] = this.#sizes[slot]!;
      filled[job + SEAL_OUT_SEGMENT] = this.#messages[slot]!;
      this.#cursor += this.#sizes[slot]!;
      jobs++;
    }
    counters.stagedOverBudget += peer.staged.takeOverBudget();
    peer.batchFirst = -1;
    peer.batchLast = jobs;
    return jobs;
  }

  /**
   * Returns the peer of a packet; undefined if the packet is dropped. If no peer or no endpoint is
   * known, sends an ICMP error to the packet's source, as the kernel does.
   */
  #route(slab: Uint8Array, at: number, version: number, length: number, now: number): Peer | undefined {
    const { allowedIps, counters, peers } = this.#device;
    const id =
      version === 4
        ? allowedIps.lookup(slab, at + IPV4_DESTINATION, 4)
        : allowedIps.lookup(slab, at + IPV6_DESTINATION, 16);
    const peer = id < 0 ? undefined : peers[id];
    if (peer?.hasEndpoint) {
      if (!this.#loops.isOwn(slab, at, length, peer, now)) return peer;
      counters.routingLoop++;
      return undefined;
    }
    if (peer) counters.noEndpoint++;
    else counters.noPeer++;
    this.#unreachable(slab, at, length, now);
    return undefined;
  }

  #unreachable(slab: Uint8Array, at: number, length: number, now: number): void {
    const out = this.#roomForIcmp(now);
    if (out >= 0) this.#addIcmp(out, writeUnreachable(slab, at, length, this.#device.output.locals.slab, out));
  }

  /**
   * Sends a too-big error, so that the host makes smaller packets. The kernel module sends no such
   * error, and its oversized messages are lost on the way.
   */
  #tooBig(slab: Uint8Array, at: number, length: number, family: number, now: number): void {
    const { mtu, output } = this.#device;
    const most = mtu > 0 ? Math.min(largestPacket(family), mtu) : largestPacket(family);
    const out = this.#roomForIcmp(now);
    if (out >= 0) this.#addIcmp(out, writeTooBig(slab, at, length, most, output.locals.slab, out));
  }

  /**
   * Returns the offset for an ICMP error, or -1 if there is no room or the limit per second is
   * reached.
   */
  #roomForIcmp(now: number): number {
    const second = Math.floor(now / 1000);
    if (second !== this.#icmpSecond) {
      this.#icmpSecond = second;
      this.#icmpCount = 0;
    }
    return this.#icmpCount < ICMP_PER_SECOND ? this.#device.output.reserveLocal(ICMP_MAXIMUM_SIZE, VNET_HEADROOM) : -1;
  }

  #addIcmp(out: number, written: number): void {
    if (written === 0) return;
    this.#icmpCount++;
    this.#device.output.addLocal(out, written);
  }
}
