/**
 * Packets that wait for a session (kernel peer->staged_packet_queue): at most 128 and at most one
 * megabyte, since each may be a super-packet of 64 KiB. A full queue drops the oldest. It holds
 * copies, since the slab of the packets is reused.
 */
import { copySecret } from '../base/bytes.ts';
import { MAX_STAGED_BYTES, MAX_STAGED_PACKETS } from './constants.ts';
import type { StagedState } from './engine-state.ts';

export interface StagedPacket {
  /** vnet header and packet, as read from the TUN. */
  readonly bytes: Uint8Array;
  /** Number of messages that the packet becomes. */
  readonly segments: number;
}

export class StagedQueue {
  readonly #packets: StagedPacket[] = [];
  #segments = 0;
  #bytes = 0;

  get empty(): boolean {
    return this.#packets.length === 0;
  }

  /** Number of queued packets; a super-packet counts as all its segments. */
  get segments(): number {
    return this.#segments;
  }

  get first(): StagedPacket | undefined {
    return this.#packets[0];
  }

  /** Queues a copy of a packet. @returns the number of packets (segments) dropped to make room */
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

  /** Returns copies of the packets, oldest first. */
  save(): StagedState[] {
    return this.#packets.map(({ bytes, segments }) => ({ bytes: copySecret(bytes), segments }));
  }

  /** Drops all packets. @returns the number of packets (segments) dropped */
  clear(): number {
    const dropped = this.#segments;
    this.#packets.length = 0;
    this.#segments = 0;
    this.#bytes = 0;
    return dropped;
  }
}
