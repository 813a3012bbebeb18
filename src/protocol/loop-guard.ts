/**
 * Detects routing loops: the host sends packets into the tunnel that are messages of this tunnel to
 * the same peer. Loops occur if routing leads the peer's endpoint into the tunnel, and each round
 * would make the packet larger. The kernel module detects a loop by a mark in its own buffers
 * (device.c, wg_xmit).
 * Addresses and ports do not identify such a message: a masqueraded host of the LAN with its own
 * tunnel to the same endpoint uses the same ones, and a NAT rule may have changed ours. The indices
 * in the message identify it, since each is 32 random bits that one of the two sides chose for this
 * session.
 */
import { readU32le } from '../packet/byte-order.ts';
import { INITIATION_SENDER, INITIATION_SIZE } from '../packet/initiation.ts';
import { MESSAGE_INITIATION, MESSAGE_RESPONSE, MESSAGE_TRANSPORT } from '../packet/message-type.ts';
import { RESPONSE_SENDER, RESPONSE_SIZE } from '../packet/response.ts';
import { TRANSPORT_HEADER_SIZE, TRANSPORT_RECEIVER } from '../packet/transport.ts';
import { FRAGMENT_NAME_SIZE, fragmentKind, udpPayload, writeFragmentName } from '../packet/udp-payload.ts';
import type { Device } from './device.ts';
import type { OutboundState } from './engine-state.ts';
import type { Keypair } from './keypair.ts';
import type { Peer } from './peer.ts';

/** The other fragments of a datagram arrive within this time after the first. */
const FRAGMENTS_WITHIN_MS = 1000;

export class LoopGuard {
  readonly #device: Device;
  /**
   * Identifies the last datagram of ours whose first fragment was seen; fragments that match it
   * before #until belong to it.
   */
  readonly #name = new Uint8Array(FRAGMENT_NAME_SIZE);
  readonly #other = new Uint8Array(FRAGMENT_NAME_SIZE);
  #until = Number.NEGATIVE_INFINITY;

  constructor(device: Device) {
    this.#device = device;
  }

  /**
   * Reports whether a packet is a message of this device to the peer, or a fragment of one.
   * @param at the offset of the IP header, which is complete
   * @param length bytes of the packet, which may be a super-packet
   */
  isOwn(slab: Uint8Array, at: number, length: number, peer: Peer, now: number): boolean {
    const payload = udpPayload(slab, at, length);
    if (payload < 0) return now < this.#until && this.#belongs(slab, at, length);
    if (payload + TRANSPORT_HEADER_SIZE > at + length) return false;
    if (!this.#isOurs(slab, payload, at + length - payload, peer)) return false;
    if (fragmentKind(slab, at, length) === 1) {
      writeFragmentName(slab, at, this.#name);
      this.#until = now + FRAGMENTS_WITHIN_MS;
    }
    return true;
  }

  save(): Pick<OutboundState, 'fragment' | 'fragmentUntil'> {
    return { fragment: this.#name.slice(), fragmentUntil: this.#until };
  }

  restore(state: Pick<OutboundState, 'fragment' | 'fragmentUntil'>): void {
    this.#name.set(state.fragment);
    this.#until = state.fragmentUntil;
  }

  #isOurs(slab: Uint8Array, at: number, length: number, peer: Peer): boolean {
    switch (readU32le(slab, at)) {
      case MESSAGE_TRANSPORT: {
        const receiver = readU32le(slab, at + TRANSPORT_RECEIVER);
        const { current, previous, next } = peer.keypairs;
        return isTo(current, receiver) || isTo(previous, receiver) || isTo(next, receiver);
      }
      case MESSAGE_INITIATION:
        return length === INITIATION_SIZE && this.#isFrom(readU32le(slab, at + INITIATION_SENDER), peer);
      case MESSAGE_RESPONSE:
        return length === RESPONSE_SIZE && this.#isFrom(readU32le(slab, at + RESPONSE_SENDER), peer);
      default:
        // a cookie reply holds no index of ours; at worst it loops once, inside a message that has
        // one
        return false;
    }
  }

  #isFrom(sender: number, peer: Peer): boolean {
    return this.#device.indices.lookup(sender)?.peer === peer;
  }

  #belongs(slab: Uint8Array, at: number, length: number): boolean {
    if (fragmentKind(slab, at, length) !== 2) return false;
    const [name, other] = [this.#name, this.#other];
    writeFragmentName(slab, at, other);
    for (let i = 0; i < FRAGMENT_NAME_SIZE; i++) if (name[i] !== other[i]) return false;
    return true;
  }
}

function isTo(keypair: Keypair | undefined, receiver: number): boolean {
  return keypair?.remoteIndex === receiver;
}
