/**
 * Which counters of a keypair were received already: a window of 8192 bits behind the greatest, of which 8128 can be used, in
 * a ring of words (RFC 6479; kernel receive.c, counter_validate). Counters are 64 bits as two u32: a double would be
 * wrong past 2^53. Ask only for messages whose tag was right: nothing unauthenticated may move the window.
 */
import { REJECT_AFTER_MESSAGES_HIGH, REJECT_AFTER_MESSAGES_LOW } from './constants.ts';

const WORDS = 256;
/** How far behind the greatest a counter may be: all the bits but one word. */
export const REPLAY_WINDOW = WORDS * 32 - 64;

export class ReplayWindow {
  readonly #ring = new Uint32Array(WORDS);
  /** One more than the greatest counter accepted; 0 when there was none. */
  #nextLow = 0;
  #nextHigh = 0;

  /** Takes the counter in. @returns false if it was there before, is too old, or past REJECT_AFTER_MESSAGES. */
  accept(low: number, high: number): boolean {
    if (high === REJECT_AFTER_MESSAGES_HIGH && low >= REJECT_AFTER_MESSAGES_LOW) return false;
    // counters are shifted by one, so that "nothing yet" and "counter 0" differ
    low = (low + 1) >>> 0;
    if (low === 0) high = (high + 1) >>> 0;
    const ahead = (high - this.#nextHigh) * 2 ** 32 + (low - this.#nextLow);
    if (ahead + REPLAY_WINDOW < 0) return false;
    // 27 bits of the high word's worth and 27 of the low one: word number modulo the ring needs only the low
    const word = low >>> 5;
    if (ahead > 0) {
      const steps = Math.min((high - this.#nextHigh) * 2 ** 27 + (word - (this.#nextLow >>> 5)), WORDS);
      const from = this.#nextLow >>> 5;
      for (let i = 1; i <= steps; i++) this.#ring[(from + i) & (WORDS - 1)] = 0;
      this.#nextLow = low;
      this.#nextHigh = high;
    }
    const at = word & (WORDS - 1);
    const bit = 1 << (low & 31);
    if ((this.#ring[at]! & bit) !== 0) return false;
    this.#ring[at]! |= bit;
    return true;
  }
}
