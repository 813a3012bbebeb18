/** Slabs for batches of one kind: one is filled, some are free, and others are lent. */

/** A pool of slabs, which grows as far as they are lent. */
export class Slabs<T extends { count: number }> {
  readonly #make: () => T;
  readonly #most: number;
  readonly #free: T[] = [];
  #made = 0;
  #current: T | undefined;

  constructor(make: () => T, most: number) {
    this.#make = make;
    this.#most = most;
  }

  /** The slab to fill; undefined while all are lent. */
  get current(): T | undefined {
    this.#current ??= this.#free.pop();
    if (this.#current || this.#made >= this.#most) return this.#current;
    this.#made++;
    this.#current = this.#make();
    return this.#current;
  }

  /** The current slab is lent. */
  lend(): void {
    this.#current = undefined;
  }

  back(slab: T): void {
    slab.count = 0;
    this.#free.push(slab);
  }

  /** Forgets the slabs that are neither lent nor filled. */
  shrink(): void {
    this.#made -= this.#free.length;
    this.#free.length = 0;
  }
}
