/**
 * The responder's part of handshakes (kernel receive.c, wg_receive_handshake_packet; send.c,
 * wg_packet_send_handshake_response). Four X25519 operations are nearly the whole cost of a
 * handshake. Several initiations are therefore processed in step: the first DH of all, the steps
 * that need it, then the other three DHs of all. A provider with several cores computes each group
 * in parallel.
 */
import { RESPONSE_SIZE } from '../packet/response.ts';
import { HANDSHAKE_TOS } from './constants.ts';
import type { Device } from './device.ts';
import { type ConsumedInitiation, consumeInitiation, createResponse, ephemeralJob, ephemeralOf } from './handshake.ts';
import { setEndpoint } from './roaming.ts';
import type { Sender } from './sender.ts';

export interface QueuedInitiation {
  /** The complete message; its macs are verified. */
  readonly message: Uint8Array;
  /** The offset of its endpoint record. */
  readonly endpointAt: number;
}

export class Responder {
  readonly #device: Device;
  readonly #sender: Sender;

  constructor(device: Device, sender: Sender) {
    this.#device = device;
    this.#sender = sender;
  }

  /**
   * Answers the valid initiations. Requires an identity of the device, and room for as many
   * responses.
   */
  answer(initiations: readonly QueuedInitiation[], endpoints: Uint8Array, now: number): void {
    const device = this.#device;
    if (initiations.length === 0) return;
    const { crypto, identity } = device;
    const shared = crypto.dhMany(
      identity!.privateKey,
      initiations.map(({ message }) => ephemeralOf(message)),
    );
    // each peer passes here at most once per call: consumeInitiation refuses a second initiation
    // within 20 ms
    const consumed: ConsumedInitiation[] = [];
    for (const [i, { message, endpointAt }] of initiations.entries()) {
      const es = shared[i];
      const result = es ? consumeInitiation(device, message, now, es) : 'badHandshake';
      if (typeof result === 'string') device.counters[result]++;
      else {
        consumed.push(result);
        this.#received(result, message.length, endpoints, endpointAt, now);
      }
    }
    const jobs = consumed.map(one => ephemeralJob(device, one));
    const keys = crypto.dhEphemeral(jobs);
    for (const [i, one] of consumed.entries()) {
      const { output } = device;
      const out = output.transmits.slab.subarray(output.cursor, output.cursor + RESPONSE_SIZE);
      const result = createResponse(device, one, out, now, jobs[i], keys[i]);
      if (result === true) this.#sent(one, out, now);
      else device.counters[result]++;
      for (const secret of keys[i]!.shared) secret?.fill(0);
    }
  }

  #received({ peer }: ConsumedInitiation, length: number, endpoints: Uint8Array, at: number, now: number): void {
    setEndpoint(this.#device, peer, endpoints, at);
    peer.rxBytes += length;
    peer.timers.anyAuthenticatedPacketReceived();
    peer.timers.anyAuthenticatedPacketTraversal(now);
  }

  #sent({ peer }: ConsumedInitiation, out: Uint8Array, now: number): void {
    const { counters, output } = this.#device;
    peer.lastSentHandshake = now;
    peer.cookies.addMacs(out, now);
    output.addMessage(RESPONSE_SIZE, HANDSHAKE_TOS, peer.endpoint, 0, peer);
    peer.txBytes += RESPONSE_SIZE;
    peer.timers.sessionDerived(now);
    this.#sender.authenticatedSent(peer, now);
    counters.handshakesAnswered++;
    output.event('response-sent', peer);
  }
}
