/**
 * Logs once that the interface was moved to a network namespace that this process may not enter,
 * because it gave up that right (confine.ts), and once that it is seen again.
 */
import type { Log } from './log.ts';

export class PlaceLog {
  readonly #log: Log;
  #isHidden = false;

  constructor(log: Log) {
    this.#log = log;
  }

  report(isHidden: boolean): void {
    if (isHidden === this.#isHidden) return;
    this.#isHidden = isHidden;
    (this.#log.notice ?? this.#log.verbose)(
      isHidden
        ? 'interface is in a network namespace that this process may not enter: it carries packets there, but a new MTU is not seen. Start it with WGTS_SANDBOX=netns to follow it there'
        : 'interface is in a network namespace that this process sees: its MTU is followed again',
    );
  }
}
