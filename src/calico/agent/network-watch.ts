/**
 * Hears of what of ours is broken, for as long as the agent runs: a netlink socket that fails is opened again, ever slower while it fails at once. What
 * happened while nobody listened is not known, so that it counts as broken.
 */
import type { Watch } from '../../netlink/events.ts';
import type { AgentApplier, AgentParts } from './dependencies.ts';
import { Timers } from './timers.ts';

const [FIRST_PAUSE, LONGEST_PAUSE] = [1_000, 60_000];
/** A socket that lasted so long was a good one. */
const GOOD = 60_000;

export class NetworkWatch {
  readonly #applier: AgentApplier;
  readonly #parts: Pick<AgentParts, 'clock' | 'warn'>;
  readonly #onBroken: () => void;
  readonly #timers: Timers<'again'>;
  #watch: Watch | undefined;
  #openedAt = 0;
  #pause = FIRST_PAUSE;
  #closed = false;

  constructor(parts: Pick<AgentParts, 'applier' | 'clock' | 'warn'>, onBroken: () => void) {
    this.#applier = parts.applier;
    this.#parts = parts;
    this.#onBroken = onBroken;
    this.#timers = new Timers(parts.clock);
  }

  open(): void {
    this.#openedAt = this.#parts.clock.now();
    try {
      this.#watch = this.#applier.watch(
        () => !this.#closed && this.#onBroken(),
        error => this.#again(error),
      );
    } catch (error) {
      this.#again(error as Error);
    }
  }

  /** Idempotent. */
  close(): void {
    this.#closed = true;
    this.#timers.close();
    this.#watch?.close();
  }

  #again(error: Error): void {
    const { clock, warn } = this.#parts;
    this.#watch?.close();
    this.#watch = undefined;
    if (this.#closed) return;
    if (clock.now() - this.#openedAt >= GOOD) this.#pause = FIRST_PAUSE;
    warn(`changes of the network are not heard of for ${this.#pause / 1000} s: ${error.message}`);
    this.#timers.set('again', this.#pause, () => {
      this.open();
      if (this.#watch) this.#onBroken();
    });
    this.#pause = Math.min(LONGEST_PAUSE, this.#pause * 2);
  }
}
