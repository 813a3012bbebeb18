/**
 * Decides when a device shares its work with other threads: while its traffic fills a core, and
 * more of it passes with them than without. Where the other cores are in use, by the other end of
 * the tunnel, the programs that send or anything else, sharing only costs. So it is tried, measured
 * and, while it lasts, measured again.
 */

/** The length of a window in which use is measured. */
const WINDOW_MS = 20;
/** A rate is the mean of so many windows. */
const RATE_WINDOWS = 5;
/** After each change so many windows do not count: threads wake up, and touch their slabs. */
const SKIPPED_WINDOWS = 2;
/** The part of a window in which a thread that fills a core works. */
const FULL = 0.9;
/**
 * The part of its working time for which a thread may wait for a processor, with another core idle.
 */
const FREE = 0.06;
/** Sharing ends if all threads together use less than this many cores in a window. */
const LEAST_CORES = 0.8;
/** Sharing must pass so many times the bytes of one thread. */
const LEAST_GAIN = 1.05;
/** After a trial without that gain, the next one waits, twice as long each time. */
const PAUSE_MS = 500;
const LONGEST_PAUSE_MS = 60_000;
/** While it shares, one thread is tried again after this long, twice as long each time. */
const CHECK_MS = 2000;
const LONGEST_CHECK_MS = 30_000;

/** What the threads of a device have used and passed since some time in the past. */
export interface ThreadUse {
  /** How many milliseconds the event loop of the device's thread waited for events. */
  readonly waited: number;
  /** Processor time of that thread, in milliseconds. */
  readonly own: number;
  /** Processor time of the other threads' work, in milliseconds. */
  readonly others: number;
  /** Bytes that were read from the TUN and from the sockets. */
  readonly bytes: number;
}

/** With one thread; with all, to see what it brings; with all; with one, to compare. */
type Phase = 'one' | 'trial' | 'sharing' | 'check';

export class ThreadChoice {
  /** How often sharing began and was kept. */
  begun = 0;
  #phase: Phase = 'one';
  #since = Number.NEGATIVE_INFINITY;
  #before: ThreadUse = { waited: 0, own: 0, others: 0, bytes: 0 };
  /** Windows of this phase that count, less those that are left to skip, and their bytes. */
  #windows = 0;
  #bytes = 0;
  #span = 0;
  /** Bytes a millisecond of the phase before. */
  #rateBefore = 0;
  #notBefore = Number.NEGATIVE_INFINITY;
  #pause = PAUSE_MS;
  #checkAt = 0;
  #checkEvery = CHECK_MS;

  /** Whether to share. */
  get isSharing(): boolean {
    return this.#phase === 'trial' || this.#phase === 'sharing';
  }

  /** Reports whether a window has passed, so that look() is of use. */
  isDue(now: number): boolean {
    return now - this.#since >= WINDOW_MS;
  }

  /** Takes the measurements of now, and decides. */
  look(now: number, use: ThreadUse): void {
    const [before, since] = [this.#before, this.#since];
    const span = now - since;
    this.#before = { ...use };
    this.#since = now;
    // a long time without a wake-up is not a window
    if (!Number.isFinite(since) || span > 10 * WINDOW_MS) {
      this.#enter('one', 0);
      return;
    }
    const busy = span - (use.waited - before.waited);
    const own = use.own - before.own;
    const used = own + use.others - before.others;
    if (++this.#windows > 0) {
      this.#bytes += use.bytes - before.bytes;
      this.#span += span;
    }
    const isFull = busy >= FULL * span;
    if (this.#phase === 'one') this.#one(now, isFull && busy - own <= FREE * busy);
    else if (used < LEAST_CORES * span) this.#enter('one', 0);
    else if (this.#windows >= RATE_WINDOWS) this.#judge(now);
  }

  #one(now: number, mayBegin: boolean): void {
    if (!mayBegin || now < this.#notBefore) this.#enter('one', 0);
    else if (this.#windows >= RATE_WINDOWS) this.#enter('trial', SKIPPED_WINDOWS);
  }

  /** Compares this phase with the one before. */
  #judge(now: number): void {
    const rate = this.#bytes / this.#span;
    if (this.#phase === 'trial') {
      if (rate < LEAST_GAIN * this.#rateBefore) this.#giveUp(now);
      else {
        this.begun++;
        this.#share(now, CHECK_MS);
      }
    } else if (this.#phase === 'check') {
      if (this.#rateBefore < LEAST_GAIN * rate) this.#giveUp(now);
      else {
        this.#pause = PAUSE_MS;
        this.#share(now, Math.min(2 * this.#checkEvery, LONGEST_CHECK_MS));
      }
    } else if (now >= this.#checkAt) this.#enter('check', SKIPPED_WINDOWS);
    else this.#enter('sharing', 0);
  }

  #share(now: number, checkEvery: number): void {
    this.#checkEvery = checkEvery;
    this.#checkAt = now + checkEvery;
    this.#enter('sharing', SKIPPED_WINDOWS);
  }

  #giveUp(now: number): void {
    this.#notBefore = now + this.#pause;
    this.#pause = Math.min(2 * this.#pause, LONGEST_PAUSE_MS);
    this.#enter('one', 0);
  }

  #enter(phase: Phase, skipped: number): void {
    if (this.#span > 0) this.#rateBefore = this.#bytes / this.#span;
    this.#phase = phase;
    this.#windows = -skipped;
    this.#bytes = this.#span = 0;
  }
}
