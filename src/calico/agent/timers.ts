/**
 * Named timers, at most one pending per name. Setting a name that is already pending keeps the
 * first deadline.
 */
import type { TimerClock } from '../../base/clock.ts';

export class Timers<Name extends string> {
  readonly #clock: TimerClock;
  /** Functions that cancel the pending timers, by name. */
  readonly #pending = new Map<Name, () => void>();
  #isClosed = false;

  constructor(clock: TimerClock) {
    this.#clock = clock;
  }

  has(name: Name): boolean {
    return this.#pending.has(name);
  }

  /** Starts the timer, unless one with this name is already pending. */
  set(name: Name, milliseconds: number, action: () => void): void {
    if (this.#isClosed || this.#pending.has(name)) return;
    const cancel = this.#clock.after(milliseconds, () => {
      this.#pending.delete(name);
      action();
    });
    this.#pending.set(name, cancel);
  }

  cancel(name: Name): void {
    this.#pending.get(name)?.();
    this.#pending.delete(name);
  }

  /** Cancels all timers and makes later calls of `set` do nothing. */
  close(): void {
    this.#isClosed = true;
    for (const cancel of this.#pending.values()) cancel();
    this.#pending.clear();
  }
}
