/**
 * Begins fresh handshakes with peers after our key was absent from our Node and has returned. Felix
 * clears the key each time it starts. Peers that saw the key disappear have dropped their session
 * with us, so packets from this node's pods would be lost for 15 s
 * (apply/device/fresh-handshakes.ts). Peers see the change within about a second. The first attempt
 * reaches most of them, and the second reaches the slow ones.
 */
import type { Family } from '../../base/family.ts';
import type { AgentDependencies } from './dependencies.ts';
import { Timers } from './timers.ts';

const FIRST_ATTEMPT_MS = 400;
const SECOND_ATTEMPT_MS = 2_000;
/**
 * Maximum extra delay, as a share of these times. Spreads the load if Felix starts on many nodes at
 * once.
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

  /**
   * Cancels pending attempts. An attempt in progress ends after its current request. Idempotent.
   */
  close(): void {
    this.#isClosed = true;
    this.#timers.close();
  }

  /**
   * Schedules both attempts. If the key returns several times in a row, the pending first attempt
   * stays and the second is postponed.
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
    // If the key is absent again, its next return schedules new attempts.
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
