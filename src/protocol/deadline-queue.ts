/**
 * A binary heap of deadlines that yields the peer whose timers are due next. Items of one deadline
 * come out in the order of push, whatever happened to the heap before. An entry may be too early:
 * postponing a timer does not move its entry, since an unnecessary check costs less than moving the
 * entry on every packet.
 */

export class DeadlineQueue<T> {
  readonly #at: number[] = [];
  /** Counts up with each push, to order the items of one deadline. */
  readonly #order: number[] = [];
  readonly #items: T[] = [];
  #pushed = 0;

  get size(): number {
    return this.#at.length;
  }

  /** The earliest instant, or Infinity. */
  get earliest(): number {
    return this.#at[0] ?? Number.POSITIVE_INFINITY;
  }

  push(at: number, item: T): void {
    const order = this.#pushed++;
    let i = this.#at.length;
    this.#at.push(at);
    this.#order.push(order);
    this.#items.push(item);
    while (i > 0) {
      const parent = (i - 1) >> 1;
      // what was pushed before comes first if the deadlines are equal
      if (this.#at[parent]! <= at) break;
      this.#move(parent, i);
      i = parent;
    }
    this.#place(i, at, order, item);
  }

  /** Removes and returns the earliest item, or undefined. */
  pop(): T | undefined {
    const first = this.#items[0];
    const at = this.#at.pop();
    const order = this.#order.pop();
    const item = this.#items.pop();
    const size = this.#at.length;
    if (at === undefined || order === undefined || item === undefined || size === 0) return first;
    let i = 0;
    for (;;) {
      let child = 2 * i + 1;
      if (child >= size) break;
      if (child + 1 < size && this.#isBefore(child + 1, this.#at[child]!, this.#order[child]!)) child++;
      if (!this.#isBefore(child, at, order)) break;
      this.#move(child, i);
      i = child;
    }
    this.#place(i, at, order, item);
    return first;
  }

  /** Returns the entries in the order of pop(), and keeps them. */
  entries(): { readonly at: number; readonly item: T }[] {
    const places = this.#at.map((_, i) => i);
    places.sort((a, b) => this.#at[a]! - this.#at[b]! || this.#order[a]! - this.#order[b]!);
    return places.map(i => ({ at: this.#at[i]!, item: this.#items[i]! }));
  }

  #isBefore(i: number, at: number, order: number): boolean {
    return this.#at[i]! < at || (this.#at[i]! === at && this.#order[i]! < order);
  }

  #move(from: number, to: number): void {
    this.#place(to, this.#at[from]!, this.#order[from]!, this.#items[from]!);
  }

  #place(i: number, at: number, order: number, item: T): void {
    this.#at[i] = at;
    this.#order[i] = order;
    this.#items[i] = item;
  }
}
