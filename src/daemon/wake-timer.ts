/** One timer for the next deadline of an engine. */

/**
 * WireGuard's timers count in seconds. With thousands of peers, deadlines that are a few
 * milliseconds apart are handled together; the kernel's timers are as coarse.
 */
const SHORTEST_SLEEP_MS = 5;
/** setTimeout's own limit is 2^31 ms. */
const LONGEST_SLEEP_MS = 2 ** 30;

/** Calls `onDue` at the earliest of the deadlines that it was armed for. */
export class WakeTimer {
  readonly #now: () => number;
  readonly #onDue: () => void;
  #timer: NodeJS.Timeout | undefined;
  #immediate: NodeJS.Immediate | undefined;
  #armedFor = Number.POSITIVE_INFINITY;

  constructor(now: () => number, onDue: () => void) {
    this.#now = now;
    this.#onDue = onDue;
  }

  /** Moves the timer forward to an earlier deadline. A later one changes nothing. */
  arm(deadline: number): void {
    if (deadline >= this.#armedFor) return;
    this.#armedFor = deadline;
    this.clear();
    const wait = Math.ceil(deadline - this.#now());
    // setTimeout waits at least one millisecond; an immediate runs as soon as the sockets have had
    // their turn
    if (wait <= 0) this.#immediate = setImmediate(() => this.#fire());
    else this.#timer = setTimeout(() => this.#fire(), Math.min(Math.max(wait, SHORTEST_SLEEP_MS), LONGEST_SLEEP_MS));
  }

  /** Forgets all deadlines. */
  disarm(): void {
    this.clear();
    this.#armedFor = Number.POSITIVE_INFINITY;
  }

  /** Idempotent. */
  clear(): void {
    clearTimeout(this.#timer);
    clearImmediate(this.#immediate);
  }

  #fire(): void {
    this.#armedFor = Number.POSITIVE_INFINITY;
    this.#onDue();
  }
}
