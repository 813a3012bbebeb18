/** Time that only passes when it is told to, for what waits by PublishClock. */
import type { PublishClock } from '../../../src/calico/publish/publisher.ts';

export class FakeClock implements PublishClock {
  #now = 1000;
  readonly #timers = new Set<{ readonly at: number; readonly action: () => void }>();
  readonly #settled: () => Promise<void>;

  /** @param wait until what runs has come to where it waits */
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

  /** And everything that is due meanwhile happens, in its order. */
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
