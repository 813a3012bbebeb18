/**
 * The queue of received handshake messages (kernel receive.c, wg_receive_handshake_packet;
 * cookie.c, wg_cookie_validate_packet). Messages are copied into a ring and processed a few at a
 * time, so that a flood never delays packets and timers. mac1 is verified before a message enters:
 * garbage cannot fill the ring. A ring that is an eighth full means load. Under load, only messages
 * with a valid mac2 are processed; the others get a cookie or no answer.
 */
import { ENDPOINT_SIZE } from '../base/endpoint.ts';
import { readU32le } from '../packet/byte-order.ts';
import { COOKIE_REPLY_RECEIVER, COOKIE_REPLY_SIZE } from '../packet/cookie-reply.ts';
import { INITIATION_SENDER, INITIATION_SIZE } from '../packet/initiation.ts';
import { MESSAGE_INITIATION } from '../packet/message-type.ts';
import { RESPONSE_SIZE } from '../packet/response.ts';
import { HANDSHAKE_TOS, MAX_QUEUED_HANDSHAKES, UNDER_LOAD_HANDSHAKES, UNDER_LOAD_TIME } from './constants.ts';
import type { Device } from './device.ts';
import type { HandshakeQueueState } from './engine-state.ts';
import { consumeResponse } from './handshake.ts';
import type { Peer } from './peer.ts';
import { type QueuedInitiation, Responder } from './responder.ts';
import { setEndpoint } from './roaming.ts';
import type { Sender } from './sender.ts';

/**
 * The most messages per turn. Each needs two macs and at most a cookie reply: about 2 ms in total.
 */
const MESSAGES_PER_TURN = 256;
/** Bytes of a queued message, padded to an initiation's, with its endpoint record. */
export const QUEUED_HANDSHAKE_SIZE = INITIATION_SIZE + ENDPOINT_SIZE;
/** Initiation and response have the sender index at the same offset. */
const SENDER = INITIATION_SENDER;

export class HandshakeQueue {
  readonly #device: Device;
  readonly #sender: Sender;
  readonly #responder: Responder;
  /** Grows on demand, up to MAX_QUEUED_HANDSHAKES entries. */
  #ring = new Uint8Array(16 * QUEUED_HANDSHAKE_SIZE);
  #isInitiation = new Uint8Array(16);
  #head = 0;
  #count = 0;
  #lastUnderLoad = Number.NEGATIVE_INFINITY;
  /** Whether this turn has already emitted a cookie-sent event. */
  #cookieReported = false;

  constructor(device: Device, sender: Sender) {
    this.#device = device;
    this.#sender = sender;
    this.#responder = new Responder(device, sender);
  }

  get length(): number {
    return this.#count;
  }

  /**
   * Queues an initiation or response of the right size.
   * @param at the offset of its endpoint record
   */
  push(slab: Uint8Array, offset: number, type: number, endpoints: Uint8Array, at: number): void {
    const { counters, identity } = this.#device;
    const size = type === MESSAGE_INITIATION ? INITIATION_SIZE : RESPONSE_SIZE;
    const message = slab.subarray(offset, offset + size);
    if (!identity?.cookies.validMac1(message)) {
      counters.badMac1++;
      return;
    }
    if (this.#count === this.#isInitiation.length && !this.#grow()) {
      counters.handshakeQueueFull++;
      return;
    }
    const slot = (this.#head + this.#count++) % this.#isInitiation.length;
    this.#isInitiation[slot] = type === MESSAGE_INITIATION ? 1 : 0;
    this.#ring.set(message, slot * QUEUED_HANDSHAKE_SIZE);
    this.#ring.set(endpoints.subarray(at, at + ENDPOINT_SIZE), slot * QUEUED_HANDSHAKE_SIZE + INITIATION_SIZE);
  }

  /**
   * Processes up to `budget` handshakes while there is room for answers. Messages that get a cookie
   * or no answer are cheap and do not count. Consecutive initiations are processed together.
   */
  process(budget: number, now: number): void {
    if (this.#count === 0) return;
    this.#cookieReported = false;
    const { output } = this.#device;
    const initiations: QueuedInitiation[] = [];
    let left = budget;
    for (let i = 0; i < MESSAGES_PER_TURN && left > 0 && this.#count > 0; i++) {
      if (!output.hasControlRoom(initiations.length + 1)) break;
      // the message itself counts when load is determined, as in the kernel
      const underLoad = this.#underLoad(now);
      const slot = this.#head;
      this.#head = (this.#head + 1) % this.#isInitiation.length;
      this.#count--;
      const at = slot * QUEUED_HANDSHAKE_SIZE;
      const initiation = this.#isInitiation[slot] === 1;
      const message = this.#ring.subarray(at, at + (initiation ? INITIATION_SIZE : RESPONSE_SIZE));
      if (!this.#device.identity || (underLoad && !this.#admit(message, at + INITIATION_SIZE, now))) continue;
      left--;
      if (initiation) {
        initiations.push({ message, endpointAt: at + INITIATION_SIZE });
        continue;
      }
      this.#responder.answer(initiations, this.#ring, now);
      initiations.length = 0;
      this.#response(message, at + INITIATION_SIZE, now);
    }
    this.#responder.answer(initiations, this.#ring, now);
  }

  clear(): void {
    this.#count = 0;
  }

  save(): HandshakeQueueState {
    const isInitiation = new Uint8Array(this.#count);
    const messages = new Uint8Array(this.#count * QUEUED_HANDSHAKE_SIZE);
    for (let i = 0; i < this.#count; i++) {
      const slot = (this.#head + i) % this.#isInitiation.length;
      const at = slot * QUEUED_HANDSHAKE_SIZE;
      isInitiation[i] = this.#isInitiation[slot]!;
      messages.set(this.#ring.subarray(at, at + QUEUED_HANDSHAKE_SIZE), i * QUEUED_HANDSHAKE_SIZE);
    }
    return { isInitiation, messages, lastUnderLoad: this.#lastUnderLoad };
  }

  /** Takes over the messages of another queue, at most MAX_QUEUED_HANDSHAKES. */
  restore(state: HandshakeQueueState): void {
    this.#head = 0;
    this.#count = 0;
    while (this.#isInitiation.length < state.isInitiation.length && this.#grow());
    this.#isInitiation.set(state.isInitiation);
    this.#ring.set(state.messages);
    this.#count = state.isInitiation.length;
    this.#lastUnderLoad = state.lastUnderLoad;
  }

  #underLoad(now: number): boolean {
    if (this.#count >= UNDER_LOAD_HANDSHAKES) this.#lastUnderLoad = now;
    return now - this.#lastUnderLoad < UNDER_LOAD_TIME;
  }

  /**
   * Decides under load whether to process a message: its sender must have proved its address (mac2)
   * and be within the rate limit.
   */
  #admit(message: Uint8Array, endpointAt: number, now: number): boolean {
    const { counters, identity, limiter, output } = this.#device;
    const cookies = identity!.cookies;
    if (cookies.validMac2(message, this.#ring, endpointAt, now)) {
      if (limiter.allow(this.#ring, endpointAt, now)) return true;
      counters.rateLimited++;
      return false;
    }
    counters.badMac2++;
    const out = output.transmits.slab.subarray(output.cursor, output.cursor + COOKIE_REPLY_SIZE);
    cookies.writeReply(out, message, readU32le(message, SENDER), this.#ring, endpointAt, now);
    output.addMessage(COOKIE_REPLY_SIZE, HANDSHAKE_TOS, this.#ring, endpointAt, undefined);
    // one event per turn: a flood must not fill the log
    if (!this.#cookieReported) output.event('cookie-sent');
    this.#cookieReported = true;
    counters.cookiesSent++;
    return false;
  }

  #response(message: Uint8Array, endpointAt: number, now: number): void {
    const device = this.#device;
    const peer = consumeResponse(device, message, now);
    if (typeof peer === 'string') {
      device.counters[peer]++;
      return;
    }
    setEndpoint(device, peer, this.#ring, endpointAt);
    peer.rxBytes += message.length;
    peer.timers.anyAuthenticatedPacketReceived();
    peer.timers.anyAuthenticatedPacketTraversal(now);
    peer.timers.sessionDerived(now);
    handshakeComplete(device, peer);
    // staged packets confirm the session; without any, send a keepalive
    this.#sender.keepalive(peer, now);
  }

  #grow(): boolean {
    const capacity = this.#isInitiation.length;
    if (capacity >= MAX_QUEUED_HANDSHAKES) return false;
    const ring = new Uint8Array(2 * capacity * QUEUED_HANDSHAKE_SIZE);
    const isInitiation = new Uint8Array(2 * capacity);
    for (let i = 0; i < this.#count; i++) {
      const slot = (this.#head + i) % capacity;
      ring.set(
        this.#ring.subarray(slot * QUEUED_HANDSHAKE_SIZE, (slot + 1) * QUEUED_HANDSHAKE_SIZE),
        i * QUEUED_HANDSHAKE_SIZE,
      );
      isInitiation[i] = this.#isInitiation[slot]!;
    }
    this.#ring = ring;
    this.#isInitiation = isInitiation;
    this.#head = 0;
    return true;
  }
}

/**
 * Processes a complete cookie reply. It does not change the peer's endpoint, since it does not
 * authenticate its sender.
 */
export function takeCookieReply(device: Device, slab: Uint8Array, offset: number, now: number): void {
  const reply = slab.subarray(offset, offset + COOKIE_REPLY_SIZE);
  const entry = device.indices.lookup(readU32le(reply, COOKIE_REPLY_RECEIVER));
  if (!entry) {
    device.counters.unknownReceiver++;
    return;
  }
  const { peer } = entry;
  if (peer.cookies.takeReply(reply, now)) device.output.event('cookie-received', peer);
  else device.counters.badCookie++;
}

/** Records that both sides have the keys (kernel wg_timers_handshake_complete). */
export function handshakeComplete(device: Device, peer: Peer): void {
  peer.timers.handshakeComplete();
  peer.handshakeAttempts = 0;
  peer.sentLastMinuteHandshake = false;
  peer.lastHandshakeWall = device.wall();
  device.output.event('session', peer);
}
