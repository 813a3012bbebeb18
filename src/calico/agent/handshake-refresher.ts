/**
 * Greets peers when our key was absent from our Node and is back: Felix clears it once per start. Peers that saw that have no session with us any more, and
 * what this node's pods begin would be lost for 15 s (apply/greeting.ts). They see the change within a second or so: the first greeting is for most,
 * the second for the slow.
 */
import type { Family } from '../../netlink/family.ts';
import type { AgentParts } from './dependencies.ts';
import { Timers } from './timers.ts';

const FIRST_MS = 400;
const SECOND_MS = 2_000;
/** Of these times, at most, so that nodes whose Felix starts at once do not all greet at once. */
const JITTER = 0.5;

type GreeterParts = Pick<AgentParts, 'applier' | 'clock' | 'publisher' | 'random' | 'warn'>;
type Name = `${'first' | 'second'} ${Family}`;

export class Greeter {
  readonly #parts: GreeterParts;
  readonly #timers: Timers<Name>;
  #closed = false;

  constructor(parts: GreeterParts) {
    this.#parts = parts;
    this.#timers = new Timers(parts.clock);
    parts.publisher.onRestored(family => this.#restored(family));
  }

  /** What is under way ends with the request that it has begun. Idempotent. */
  close(): void {
    this.#closed = true;
    this.#timers.close();
  }

  /** Of several in a row the first greeting stays when it was due, and the second follows the last of them. */
  #restored(family: Family): void {
    const { clock } = this.#parts;
    const since = clock.now();
    const wait = (milliseconds: number): number => milliseconds * (1 + JITTER * this.#parts.random());
    this.#timers.set(`first ${family}`, wait(FIRST_MS), () => this.#greet(family, since, false));
    this.#timers.forget(`second ${family}`);
    this.#timers.set(`second ${family}`, wait(SECOND_MS), () => this.#greet(family, since, true));
  }

  #greet(family: Family, since: number, again: boolean): void {
    const { applier, clock, publisher, random, warn } = this.#parts;
    // gone again: its return greets
    if (!publisher.isPublished(family)) return;
    applier
      .greet(family, { restoredAgo: clock.now() - since, again }, random(), () => !this.#closed)
      .catch((error: unknown) =>
        warn(`IPv${family}: peers cannot be greeted, and may not answer for 15 s: ${(error as Error).message}`),
      );
  }
}
