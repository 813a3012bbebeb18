/**
 * Decides when a device shares its work with other threads: while its traffic fills the core that
 * it has, and another core is idle. Where all cores are in use, by the other end of the tunnel or
 * by anything else, sharing only costs.
 */

/** The length of a window in which use is measured. */
const WINDOW_MS = 20;
/** Sharing begins after this many windows that say so, one after the other. */
const FULL_WINDOWS = 2;
/** The part of a window in which a thread that fills a core works. */
const FULL = 0.9;
/**
 * The part of its working time for which a thread may wait for a processor, with another core idle.
 */
const FREE = 0.06;
/** Sharing ends if all threads together use less than this many cores in a window: */
const LEAST_CORES = 0.8;
/** ... or, while this thread works all the time, less than this: there is no second core. */
const LEAST_GAIN = 1.12;
/** After sharing was of no use, the next attempt waits, twice as long each time. */
const PAUSE_MS = 500;
const LONGEST_PAUSE_MS = 30_000;

/** What the threads of a device have used since some time in the past, in milliseconds. */
export interface ThreadUse {
  /** How long the event loop of the device's thread waited for events. */
  readonly waited: number;
  /** Processor time of that thread. */
  readonly own: number;
  /** Processor time of the other threads' work. */
  readonly others: number;
}

export class ThreadChoice {
  /** Whether to share. */
  isSharing = false;
  /** How often sharing began. */
  begun = 0;
  #since = Number.NEGATIVE_INFINITY;
  #before: ThreadUse = { waited: 0, own: 0, others: 0 };
  #full = 0;
  #notBefore = Number.NEGATIVE_INFINITY;
  #pause = PAUSE_MS;

  /** Reports whether a window has passed, so that look() is of use. */
  isDue(now: number): boolean {
    return now - this.#since >= WINDOW_MS;
  }

  /** Takes the measurements of now, and decides. */
  look(now: number, use: ThreadUse): void {
    const span = now - this.#since;
    const [before, since] = [this.#before, this.#since];
    this.#before = { ...use };
    this.#since = now;
    // a long time without a wake-up is not a window
    if (!Number.isFinite(since) || span > 10 * WINDOW_MS) {
      this.#rest();
      return;
    }
    const busy = span - (use.waited - before.waited);
    const own = use.own - before.own;
    if (this.isSharing) this.#goOn(now, span, busy, own + use.others - before.others);
    else this.#begin(now, span, busy, own);
  }

  #begin(now: number, span: number, busy: number, own: number): void {
    const isFull = busy >= FULL * span && busy - own <= FREE * busy && now >= this.#notBefore;
    this.#full = isFull ? this.#full + 1 : 0;
    if (this.#full < FULL_WINDOWS) return;
    this.isSharing = true;
    this.begun++;
  }

  #goOn(now: number, span: number, busy: number, used: number): void {
    const isOfUse = used >= LEAST_GAIN * span;
    if (isOfUse) this.#pause = PAUSE_MS;
    if (used < LEAST_CORES * span) this.#rest();
    else if (busy >= FULL * span && !isOfUse) {
      this.#notBefore = now + this.#pause;
      this.#pause = Math.min(2 * this.#pause, LONGEST_PAUSE_MS);
      this.#rest();
    }
  }

  #rest(): void {
    this.isSharing = false;
    this.#full = 0;
  }
}
