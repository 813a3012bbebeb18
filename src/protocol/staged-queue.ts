/**
 * Packets that wait for a session (kernel peer->staged_packet_queue): at most 128, and at most a megabyte, since one may be a
 * super-packet of 64 KiB. When it is full the oldest go. Copies, for the slab they came in is used again.
 */
import { MAX_STAGED_BYTES, MAX_STAGED_PACKETS } from './constants.ts';

export interface StagedPacket {
  /** vnet header and packet, as read from the TUN. */
  readonly bytes: Uint8Array;
  /** How many messages it will become. */
  readonly segments: number;
}

export class StagedQueue {
  readonly #packets: StagedPacket[] = [];
  #segments = 0;
  #bytes = 0;

  get empty(): boolean {
    return this.#packets.length === 0;
  }

  /** How many packets wait, a super-packet counting as all its segments. */
  get segments(): number {
    return this.#segments;
  }

  get first(): StagedPacket | undefined {
    return this.#packets[0];
  }

  /** Stages a copy. @returns how many packets (segments) were dropped to make room */
  push(slab: Uint8Array, offset: number, length: number, segments: number): number {
    let dropped = 0;
    while (
      this.#packets.length > 0 &&
      (this.#segments + segments > MAX_STAGED_PACKETS || this.#bytes + length > MAX_STAGED_BYTES)
    )
      dropped += this.shift()!.segments;
    this.#packets.push({ bytes: slab.slice(offset, offset + length), segments });
    this.#segments += segments;
    this.#bytes += length;
    return dropped;
  }

  shift(): StagedPacket | undefined {
    const packet = this.#packets.shift();
    if (packet) {
      this.#segments -= packet.segments;
      this.#bytes -= packet.bytes.length;
    }
    return packet;
  }

  /** @returns how many packets were dropped */
  clear(): number {
    const dropped = this.#segments;
    this.#packets.length = 0;
    this.#segments = 0;
    this.#bytes = 0;
    return dropped;
  }
}
