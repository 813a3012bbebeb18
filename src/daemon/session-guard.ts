/**
 * Erases all sessions when the machine slept, or may be a copy of another one (kernel device.c,
 * wg_pm_notification and wg_vm_notification). Every turn of a device takes the time from here, so
 * a suspend is noticed before anything is sealed or opened with keys from before it.
 */
import type { Clock } from '../io/ports.ts';
import type { Engine } from '../protocol/engine.ts';
import type { Log } from './log.ts';

/**
 * Why sessions were erased: the machine is about to sleep, or slept; a hypervisor reported that
 * this machine is a copy; the wall clock was set, as in a restored snapshot.
 */
export type SessionEnd = 'sleepAhead' | 'slept' | 'copied' | 'clockSet';

/**
 * Boot time minus awake time is constant but for suspend, and an interrupted reading only makes it
 * smaller. This threshold only tolerates emulated kernels.
 */
const SLEPT_MS = 500;
/**
 * NTP slews the wall clock and boot time alike; only a step changes their difference. A leap second
 * is a step of one second.
 */
const CLOCK_SET_MS = 2000;
/**
 * Bounds the erasures for steps of the wall clock to one a minute in the long run, so that a false
 * time server can at most halve the life of a session (REKEY_AFTER_TIME). A burst is allowed,
 * because a snapshot may be taken just after a step (chrony's `makestep` at boot), and each copy of
 * it must still heed the step of its restoration.
 */
const CLOCK_SET_EVERY_MS = 60_000;
const CLOCK_SET_BURST = 4;

const WORDS: Record<SessionEnd, string> = {
  sleepAhead: 'the machine is about to sleep',
  slept: 'the machine slept',
  copied: 'this virtual machine was copied or restored',
  clockSet: 'the wall clock was set, as in a restored virtual machine',
};

export interface SessionGuardOptions {
  readonly engine: Engine;
  readonly clock: Clock;
  readonly log: Log;
}

export class SessionGuard {
  /** A hand-over that failed replaces it. */
  engine: Engine;
  readonly #clock: Clock;
  readonly #log: Log;
  #suspended = 0;
  #stepped = 0;
  #copies = 0;
  /** When the bucket of erasures for steps is full again. */
  #stepsFullAt = Number.NEGATIVE_INFINITY;
  readonly #counts: Record<SessionEnd, number> = { sleepAhead: 0, slept: 0, copied: 0, clockSet: 0 };

  constructor({ engine, clock, log }: SessionGuardOptions) {
    this.engine = engine;
    this.#clock = clock;
    this.#log = log;
  }

  /**
   * Returns the time, after a look at the clocks. Call it whenever a wake-up begins, and before
   * each further batch. A call costs one native call, as reading one clock does, and another one
   * at most once a millisecond in virtual machines that may be copied.
   */
  now(): number {
    const now = this.#clock.now();
    const suspended = this.#clock.suspended?.() ?? 0;
    if (suspended > this.#suspended) this.#onSuspended(suspended, now);
    const copies = this.#clock.copies?.(now) ?? 0;
    if (copies !== this.#copies) this.forgetSessions('copied', now);
    this.#copies = copies;
    if (Math.abs((this.#clock.stepped?.() ?? 0) - this.#stepped) >= CLOCK_SET_MS) this.#onStepped(now);
    return now;
  }

  /** Erases all sessions and secrets that were drawn in advance, and logs why. */
  forgetSessions(why: SessionEnd, now = this.#clock.now(), detail = ''): void {
    // just before sleep a new handshake would only make new keys
    this.engine.forgetSessions(now, why !== 'sleepAhead');
    this.#counts[why]++;
    (this.#log.notice ?? this.#log.verbose)(`${WORDS[why]}${detail}: all sessions were erased`);
  }

  /** Returns how often sessions were erased, by reason. */
  counters(): Record<string, number> {
    return { ...this.#counts };
  }

  #onSuspended(suspended: number, now: number): void {
    const slept = suspended - this.#suspended;
    // tiny growth is rounding: it adds up to nothing, because it comes and goes
    this.#suspended = suspended;
    if (slept >= SLEPT_MS) this.forgetSessions('slept', now, ` for ${Math.round(slept / 1000)} s`);
  }

  #onStepped(now: number): void {
    const fullAt = Math.max(this.#stepsFullAt, now) + CLOCK_SET_EVERY_MS;
    if (fullAt - now > CLOCK_SET_BURST * CLOCK_SET_EVERY_MS) return;
    // an interruption between the readings of two clocks looks like a step: read them again
    this.#clock.now();
    const stepped = this.#clock.stepped?.() ?? 0;
    const by = stepped - this.#stepped;
    if (Math.abs(by) < CLOCK_SET_MS) return;
    this.#stepped = stepped;
    this.#stepsFullAt = fullAt;
    this.forgetSessions('clockSet', now, ` (by ${Math.round(by / 1000)} s)`);
  }
}
