/**
 * A log that knows whether it was used. A device calls out to its owner's code for nothing else
 * while it handles packets; what that code leaves for later (a promise, a `process.nextTick`) must
 * run after the wake-up, and costs a lone packet much if it is asked for in vain (Wake).
 */
import type { Log } from './log.ts';

export class HeardLog implements Log {
  readonly notice?: NonNullable<Log['notice']>;
  readonly #log: Log;
  #hasSpoken = false;

  constructor(log: Log) {
    this.#log = log;
    if (log.notice)
      this.notice = message => {
        this.#hasSpoken = true;
        log.notice?.(message);
      };
  }

  readonly verbose = (message: string): void => {
    this.#hasSpoken = true;
    this.#log.verbose(message);
  };

  readonly error = (message: string): void => {
    this.#hasSpoken = true;
    this.#log.error(message);
  };

  /** Reports whether there was a message since the last call. */
  takeSpoken(): boolean {
    const hasSpoken = this.#hasSpoken;
    this.#hasSpoken = false;
    return hasSpoken;
  }
}
