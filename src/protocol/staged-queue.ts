/**
 * Packets that wait for a session (kernel peer->staged_packet_queue): at most 128 and at most one
 * megabyte, since each may be a super-packet of 64 KiB, and within a budget that all peers share. A
 * full queue drops the oldest. It holds copies, since the slab of the packets is reused.
 */
import { copySecret } from '../base/bytes.ts';
import { VNET_HEADER_SIZE } from '../packet/batch.ts';
import { MAX_STAGED_BYTES, MAX_STAGED_PACKETS } from './constants.ts';
import type { StagedState } from './engine-state.ts';
import { STAGED_OVERHEAD, StagedBudget } from './staged-budget.ts';

export interface StagedPacket {
  /** vnet header and packet, as read from the TUN. */
  readonly bytes: Uint8Array;
  /** Number of messages that the packet becomes. */
  readonly segments: number;
}

export class StagedQueue {
  readonly #budget: StagedBudget;
  readonly #packets: StagedPacket[] = [];
  #segments = 0;
  #bytes = 0;
  #cost = 0;
  /** Packets (segments) that push() dropped for the budget since the last takeOverBudget(). */
  #overBudget = 0;

  constructor(budget = new StagedBudget()) {
    this.#budget = budget;
  }

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

  /**
   * Queues a copy of a packet, unless the budget has no room for it.
   * @returns the number of packets (segments) dropped because this queue was full
   */
  push(slab: Uint8Array, offset: number, length: number, segments: number): number {
    let dropped = 0;
    while (
      this.#packets.length > 0 &&
      (this.#segments + segments > MAX_STAGED_PACKETS || this.#bytes + length > MAX_STAGED_BYTES)
    )
      dropped += this.shift()!.segments;
    const more = costOf(length);
    while (this.#packets.length > 0 && !this.#budget.allows(this.#cost, more))
      this.#overBudget += this.shift()!.segments;
    if (more > 0 && !this.#budget.allows(0, more)) {
      this.#overBudget += segments;
      return dropped;
    }
    this.#packets.push({ bytes: slab.slice(offset, offset + length), segments });
    this.#segments += segments;
    this.#bytes += length;
    this.#cost += more;
    this.#budget.take(more);
    return dropped;
  }

  shift(): StagedPacket | undefined {
    const packet = this.#packets.shift();
    if (packet) {
      const { length } = packet.bytes;
      this.#segments -= packet.segments;
      this.#bytes -= length;
      this.#cost -= costOf(length);
      this.#budget.give(costOf(length));
    }
    return packet;
  }

  /** Drops the older half of the packets, and a single one too. @returns what clear() returns */
  dropHalf(): number {
    let dropped = 0;
    for (let left = Math.ceil(this.#packets.length / 2); left > 0; left--) dropped += this.shift()!.segments;
    return dropped;
  }

  /** Drops all packets. @returns the number of packets (segments) dropped */
  clear(): number {
    const dropped = this.#segments;
    this.#budget.give(this.#cost);
    this.#packets.length = 0;
    this.#segments = 0;
    this.#bytes = 0;
    this.#cost = 0;
    return dropped;
  }

  /** Returns copies of the packets, oldest first. */
  save(): StagedState[] {
    return this.#packets.map(({ bytes, segments }) => ({ bytes: copySecret(bytes), segments }));
  }

  /** Returns the packets (segments) dropped for the budget since the last call. */
  takeOverBudget(): number {
    const dropped = this.#overBudget;
    this.#overBudget = 0;
    return dropped;
  }
}

/** A keepalive costs nothing: each peer stages at most one, and it must begin the handshake. */
function costOf(length: number): number {
  return length <= VNET_HEADER_SIZE ? 0 : length + STAGED_OVERHEAD;
}
