/**
 * Tracks the received counters of a keypair: a window of 8192 bits below the greatest counter, of
 * which 8128 are usable, in a ring of words (RFC 6479; kernel receive.c, counter_validate).
 * Counters have 64 bits, stored as two u32, since a double is inexact past 2^53. Pass only messages
 * with a valid tag: unauthenticated ones must not move the window.
 */
import { REJECT_AFTER_MESSAGES_HIGH, REJECT_AFTER_MESSAGES_LOW } from './constants.ts';
import type { ReplayWindowState } from './engine-state.ts';

/** Words of the ring. */
export const REPLAY_WORDS = 256;
/**
 * The largest distance from the greatest counter: all bits of the window except 64, as in the
 * kernel.
 */
export const REPLAY_WINDOW = REPLAY_WORDS * 32 - 64;

export class ReplayWindow {
  readonly #ring = new Uint32Array(REPLAY_WORDS);
  /** The greatest accepted counter plus 1; 0 before the first. */
  #nextLow = 0;
  #nextHigh = 0;

  /**
   * Records a counter.
   * @returns false if it was seen before, is too old, or past REJECT_AFTER_MESSAGES
   */
  accept(low: number, high: number): boolean {
    if (high === REJECT_AFTER_MESSAGES_HIGH && low >= REJECT_AFTER_MESSAGES_LOW) return false;
    // stored counters are one higher, to distinguish "none yet" from counter 0
    low = (low + 1) >>> 0;
    if (low === 0) high = (high + 1) >>> 0;
    const ahead = (high - this.#nextHigh) * 2 ** 32 + (low - this.#nextLow);
    if (ahead + REPLAY_WINDOW < 0) return false;
    // the high half does not matter for the word's place, since the ring's size divides 2^27
    const word = low >>> 5;
    if (ahead > 0) {
      const steps = Math.min((high - this.#nextHigh) * 2 ** 27 + (word - (this.#nextLow >>> 5)), REPLAY_WORDS);
      const from = this.#nextLow >>> 5;
      for (let i = 1; i <= steps; i++) this.#ring[(from + i) & (REPLAY_WORDS - 1)] = 0;
      this.#nextLow = low;
      this.#nextHigh = high;
    }
    const at = word & (REPLAY_WORDS - 1);
    const bit = 1 << (low & 31);
    if ((this.#ring[at]! & bit) !== 0) return false;
    this.#ring[at]! |= bit;
    return true;
  }

  save(): ReplayWindowState {
    return { ring: this.#ring.slice(), nextLow: this.#nextLow, nextHigh: this.#nextHigh };
  }

  restore(state: ReplayWindowState): void {
    this.#ring.set(state.ring);
    this.#nextLow = state.nextLow;
    this.#nextHigh = state.nextHigh;
  }
}
