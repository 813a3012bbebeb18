/**
 * A binary heap of deadlines that yields the peer whose timers are due next. An entry may be too
 * early: postponing a timer does not move its entry, since an unnecessary check costs less
 * than moving the entry on every packet.
 */

export class DeadlineQueue<T> {
  readonly #at: number[] = [];
  readonly #items: T[] = [];

  get size(): number {
    return this.#at.length;
  }

  /** The earliest instant, or Infinity. */
  get earliest(): number {
    return this.#at[0] ?? Number.POSITIVE_INFINITY;
  }

  push(at: number, item: T): void {
    let i = this.#at.length;
    this.#at.push(at);
    this.#items.push(item);
    while (i > 0) {
      const parent = (i - 1) >> 1;
      if (this.#at[parent]! <= at) break;
      this.#place(i, this.#at[parent]!, this.#items[parent]!);
      i = parent;
    }
    this.#place(i, at, item);
  }

  /** Removes and returns the earliest item, or undefined. */
  pop(): T | undefined {
    const first = this.#items[0];
    const at = this.#at.pop();
    const item = this.#items.pop();
    const size = this.#at.length;
    if (at === undefined || item === undefined || size === 0) return first;
    let i = 0;
    for (;;) {
      let child = 2 * i + 1;
      if (child >= size) break;
      if (child + 1 < size && this.#at[child + 1]! < this.#at[child]!) child++;
      if (this.#at[child]! >= at) break;
      this.#place(i, this.#at[child]!, this.#items[child]!);
      i = child;
    }
    this.#place(i, at, item);
    return first;
  }

  #place(i: number, at: number, item: T): void {
    this.#at[i] = at;
    this.#items[i] = item;
  }
}
