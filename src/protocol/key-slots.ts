/** Allocates the key slots of the cipher, which are small integers. The keys stay in the cipher. */
import { MAX_KEY_SLOTS } from './transport-cipher.ts';

export class KeySlots {
  readonly #free: number[] = [];
  #next = 0;

  /** Returns a free slot, or -1 if all are in use. */
  take(): number {
    return this.#free.pop() ?? (this.#next < MAX_KEY_SLOTS ? this.#next++ : -1);
  }

  give(slot: number): void {
    this.#free.push(slot);
  }

  get inUse(): number {
    return this.#next - this.#free.length;
  }
}
