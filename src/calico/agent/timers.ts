/** What an agent waits for, by name: one timer of each, the first that was set. */
import type { PublishClock } from '../publish/publisher.ts';

export class Timers<Name extends string> {
  readonly #clock: PublishClock;
  readonly #set = new Map<Name, () => void>();
  #closed = false;

  constructor(clock: PublishClock) {
    this.#clock = clock;
  }

  has(name: Name): boolean {
    return this.#set.has(name);
  }

  /** One of this name that waits already goes on waiting. */
  set(name: Name, milliseconds: number, action: () => void): void {
    if (this.#closed || this.#set.has(name)) return;
    const forget = this.#clock.after(milliseconds, () => {
      this.#set.delete(name);
      action();
    });
    this.#set.set(name, forget);
  }

  forget(name: Name): void {
    this.#set.get(name)?.();
    this.#set.delete(name);
  }

  /** None fires after this, and none can be set. */
  close(): void {
    this.#closed = true;
    for (const forget of this.#set.values()) forget();
    this.#set.clear();
  }
}
