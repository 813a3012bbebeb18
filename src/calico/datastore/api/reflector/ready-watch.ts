/**
 * Watches the ClusterInformation of one group: its `datastoreReady` field tells whether Calico uses
 * the group (group-choice.ts). The watch reports only that something changed, and the listener
 * reads the current value. The watch ends if the server refuses it or is unreachable. A
 * reflector then detects when the server answers again.
 */

import type { CalicoGroup } from '../../resource-kinds.ts';
import type { ApiConnection } from '../connection.ts';
import { ApiError } from '../error.ts';
import { JitteredBackOff, type Pace } from './back-off.ts';

export interface ReadyWatchOptions {
  readonly connection: ApiConnection;
  readonly pace: Pace;
  readonly group: CalicoGroup;
  /** Called when `datastoreReady` may have changed. */
  readonly onChange: () => void;
  /**
   * Called when the watch ends, but not after `close`. Create a new watch when the server answers
   * again.
   */
  readonly onEnd: () => void;
}

const WATCH_TIMEOUT_S = 300;
const WATCH_IDLE_MS = 90_000;
/** A watch that ends sooner than this counts as a failure. */
const SHORT_WATCH_MS = 1000;

export class ReadyWatch {
  readonly #options: ReadyWatchOptions;
  readonly #abort = new AbortController();
  readonly #running: Promise<void>;

  constructor(options: ReadyWatchOptions) {
    this.#options = options;
    this.#running = this.#run();
  }

  async close(): Promise<void> {
    this.#abort.abort();
    await this.#running;
  }

  async #run(): Promise<void> {
    const { pace, onChange, onEnd } = this.#options;
    const { signal } = this.#abort;
    const backOff = new JitteredBackOff(pace);
    while (!signal.aborted) {
      const began = pace.now();
      let pause = 0;
      try {
        await this.#watch();
        if (pace.now() - began < SHORT_WATCH_MS) pause = backOff.next();
        else backOff.reset();
      } catch (error) {
        const isRetriable = error instanceof ApiError && ![403, 404].includes(error.status);
        if (isRetriable) pause = backOff.next(error.retryAfterMs);
        // The watch may have been open and then broken off: retry.
        else if (error instanceof ApiError || pace.now() - began < SHORT_WATCH_MS) break;
      }
      if (signal.aborted) return;
      onChange();
      if (pause > 0) await pace.sleep(pause, signal);
    }
    if (!signal.aborted) onEnd();
  }

  async #watch(): Promise<void> {
    const { pace, group, onChange } = this.#options;
    const query = {
      watch: 'true',
      allowWatchBookmarks: 'true',
      timeoutSeconds: String(Math.round(WATCH_TIMEOUT_S * (1 + pace.random() / 5))),
    };
    const onLine = (line: string): void => {
      if (!line.includes('"BOOKMARK"')) onChange();
    };
    const request = {
      method: 'GET',
      path: `/apis/${group}/clusterinformations`,
      query,
      signal: this.#abort.signal,
    } as const;
    await this.#options.connection.stream(request, { idleMs: WATCH_IDLE_MS, onOpen: onChange, onLine });
  }
}
