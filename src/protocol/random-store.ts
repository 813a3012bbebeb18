/**
 * Stores random bytes drawn in advance, for nonces of cookie replies and timer jitter. Requesting a
 * few bytes from the system takes longer than sealing a packet. Never use the store for keys:
 * stored bytes could be read before their use.
 */
import { copySecret } from '../base/bytes.ts';

export class RandomStore {
  readonly #random: (bytes: Uint8Array) => void;
  readonly #bytes: Uint8Array;
  readonly #three = new Uint8Array(3);
  #used: number;

  /** @param size bytes drawn at a time; the first draw happens on first use */
  constructor(random: (bytes: Uint8Array) => void, size: number) {
    this.#random = random;
    this.#bytes = new Uint8Array(size);
    this.#used = size;
  }

  /** Fills `out`, which must not be larger than the store. */
  fill(out: Uint8Array): void {
    if (this.#used + out.length > this.#bytes.length) {
      this.#random(this.#bytes);
      this.#used = 0;
    }
    for (let i = 0; i < out.length; i++) out[i] = this.#bytes[this.#used + i]!;
    this.#used += out.length;
  }

  /** Returns a copy of the bytes that were not used. */
  save(): Uint8Array {
    return copySecret(this.#bytes.subarray(this.#used));
  }

  /** Takes over the unused bytes of another store, which must not be more than the size. */
  restore(unused: Uint8Array): void {
    this.#used = this.#bytes.length - unused.length;
    this.#bytes.set(unused, this.#used);
  }

  /** Erases the stored bytes, so that the next call draws new ones. */
  drop(): void {
    this.#bytes.fill(0);
    this.#used = this.#bytes.length;
  }

  /** Returns a number in [0, 1). */
  fraction(): number {
    this.fill(this.#three);
    const three = this.#three;
    return (three[0]! * 2 ** 16 + three[1]! * 2 ** 8 + three[2]!) / 2 ** 24;
  }
}
