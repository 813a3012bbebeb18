/**
 * Receiver indices: the 32 random bits with which a message identifies its session or handshake
 * (whitepaper section 5.4.2). They are random so that an observer cannot link the sessions of a
 * peer. No two entries have the same index at the same time.
 */

export class IndexTable<T> {
  readonly #entries = new Map<number, T>();
  readonly #random: (bytes: Uint8Array) => void;
  readonly #buffer = new Uint8Array(4);

  /** @param random fills an array with random bytes */
  constructor(random: (bytes: Uint8Array) => void) {
    this.#random = random;
  }

  /** Assigns a new index to the entry. */
  insert(entry: T): number {
    const index = this.#unused();
    this.#entries.set(index, entry);
    return index;
  }

  /** Assigns a new index to an entry that `make` creates with this index. */
  insertWith<E extends T>(make: (index: number) => E): E {
    const index = this.#unused();
    const entry = make(index);
    this.#entries.set(index, entry);
    return entry;
  }

  /** Returns the entry of an index (u32), or undefined. */
  lookup(index: number): T | undefined {
    return this.#entries.get(index);
  }

  /** Replaces the entry of an index that is in use, when a handshake becomes a session. */
  replace(index: number, entry: T): void {
    this.#entries.set(index, entry);
  }

  remove(index: number): void {
    this.#entries.delete(index);
  }

  get size(): number {
    return this.#entries.size;
  }

  #unused(): number {
    for (;;) {
      this.#random(this.#buffer);
      const b = this.#buffer;
      const index = (b[0]! | (b[1]! << 8) | (b[2]! << 16) | (b[3]! << 24)) >>> 0;
      if (!this.#entries.has(index)) return index;
    }
  }
}
