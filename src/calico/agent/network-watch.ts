/**
 * Watches netlink for changes that others make to our links and rules. A failed socket is reopened,
 * with back-off if it fails repeatedly. Changes made while no socket was open are unknown, so
 * reopening counts as a foreign change.
 */
import { BackOff } from '../../base/back-off.ts';
import type { Watch } from '../../netlink/events.ts';
import type { AgentApplier, AgentDependencies } from './dependencies.ts';
import { Timers } from './timers.ts';

const PAUSES_MS = [1_000, 60_000] as const;
/** A socket that stayed open for this time resets the back-off. */
const STABLE_AFTER_MS = 60_000;

export class NetworkWatch {
  readonly #applier: AgentApplier;
  readonly #dependencies: Pick<AgentDependencies, 'clock' | 'warn'>;
  readonly #onForeignChange: () => void;
  readonly #timers: Timers<'reopen'>;
  #watch: Watch | undefined;
  #openedAt = 0;
  readonly #backOff = new BackOff(...PAUSES_MS);
  #isClosed = false;

  constructor(dependencies: Pick<AgentDependencies, 'applier' | 'clock' | 'warn'>, onForeignChange: () => void) {
    this.#applier = dependencies.applier;
    this.#dependencies = dependencies;
    this.#onForeignChange = onForeignChange;
    this.#timers = new Timers(dependencies.clock);
  }

  open(): void {
    this.#openedAt = this.#dependencies.clock.now();
    try {
      this.#watch = this.#applier.watch(
        () => !this.#isClosed && this.#onForeignChange(),
        error => this.#scheduleReopen(error),
      );
    } catch (error) {
      this.#scheduleReopen(error as Error);
    }
  }

  /** Idempotent. */
  close(): void {
    this.#isClosed = true;
    this.#timers.close();
    this.#watch?.close();
  }

  #scheduleReopen(error: Error): void {
    const { clock, warn } = this.#dependencies;
    this.#watch?.close();
    this.#watch = undefined;
    if (this.#isClosed) return;
    if (clock.now() - this.#openedAt >= STABLE_AFTER_MS) this.#backOff.reset();
    const pauseMs = this.#backOff.next();
    warn(`the watch for network changes ended and will be reopened in ${pauseMs / 1000} s: ${error.message}`);
    this.#timers.set('reopen', pauseMs, () => {
      this.open();
      if (this.#watch) this.#onForeignChange();
    });
  }
}
