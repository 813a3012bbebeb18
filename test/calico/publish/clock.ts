/** A TimerClock whose time passes only when a test advances it. */
import type { TimerClock } from '../../../src/base/clock.ts';

export class FakeClock implements TimerClock {
  #now = 1000;
  readonly #timers = new Set<{ readonly at: number; readonly action: () => void }>();
  readonly #settled: () => Promise<void>;

  /** @param wait resolves once all running tasks wait */
  constructor(wait: () => Promise<void> = settled) {
    this.#settled = wait;
  }

  now(): number {
    return this.#now;
  }

  after(milliseconds: number, action: () => void): () => void {
    const timer = { at: this.#now + milliseconds, action };
    this.#timers.add(timer);
    return () => this.#timers.delete(timer);
  }

  /** Advances the time and runs everything that becomes due, in order. */
  async pass(milliseconds: number): Promise<void> {
    const end = this.#now + milliseconds;
    for (;;) {
      await this.#settled();
      const next = [...this.#timers].sort((a, b) => a.at - b.at)[0];
      if (!next || next.at > end) break;
      this.#timers.delete(next);
      this.#now = Math.max(this.#now, next.at);
      next.action();
    }
    this.#now = end;
    await this.#settled();
  }
}

async function settled(): Promise<void> {
  for (let i = 0; i < 20; i++) await Promise.resolve();
}
