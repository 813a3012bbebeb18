/**
 * Begins fresh handshakes with peers after our key was absent from our Node and is back: Felix
 * clears the key once per start. Peers that saw the key go have dropped their session with us, and
 * packets that this node's pods send would be lost for 15 s (apply/device/fresh-handshakes.ts).
 * Peers see the change within about a second: the first attempt reaches most of them, the second
 * reaches the slow ones.
 */
import type { Family } from '../../base/family.ts';
import type { AgentDependencies } from './dependencies.ts';
import { Timers } from './timers.ts';

const FIRST_ATTEMPT_MS = 400;
const SECOND_ATTEMPT_MS = 2_000;
/**
 * Upper bound, as a share of these delays: spreads the load when many nodes' Felix start at once.
 */
const JITTER = 0.5;

type RefresherDependencies = Pick<AgentDependencies, 'applier' | 'clock' | 'publisher' | 'random' | 'warn'>;
type TimerName = `${'first' | 'second'} ${Family}`;

export class HandshakeRefresher {
  readonly #dependencies: RefresherDependencies;
  readonly #timers: Timers<TimerName>;
  #isClosed = false;

  constructor(dependencies: RefresherDependencies) {
    this.#dependencies = dependencies;
    this.#timers = new Timers(dependencies.clock);
    dependencies.publisher.onRestored(family => this.#onRestored(family));
  }

  /** Cancels pending attempts; an attempt under way ends after its current request. Idempotent. */
  close(): void {
    this.#isClosed = true;
    this.#timers.close();
  }

  /**
   * When the key is restored several times in a row, keeps the pending first attempt and postpones
   * the second.
   */
  #onRestored(family: Family): void {
    const { clock } = this.#dependencies;
    const restoredAt = clock.now();
    const jittered = (milliseconds: number): number => milliseconds * (1 + JITTER * this.#dependencies.random());
    this.#timers.set(`first ${family}`, jittered(FIRST_ATTEMPT_MS), () => this.#refresh(family, restoredAt, false));
    this.#timers.cancel(`second ${family}`);
    this.#timers.set(`second ${family}`, jittered(SECOND_ATTEMPT_MS), () => this.#refresh(family, restoredAt, true));
  }

  #refresh(family: Family, restoredAt: number, isSecondAttempt: boolean): void {
    const { applier, clock, publisher, random, warn } = this.#dependencies;
    // The key is absent again; its return triggers new attempts.
    if (!publisher.isPublished(family)) return;
    const request = { restoredAgoMs: clock.now() - restoredAt, isSecondAttempt };
    applier
      .refreshHandshakes(family, request, random(), () => !this.#isClosed)
      .catch((error: unknown) =>
        warn(
          `IPv${family}: cannot begin new handshakes, so peers may not answer for up to 15 s: ${(error as Error).message}`,
        ),
      );
  }
}
