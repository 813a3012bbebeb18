/**
 * Watches the ClusterInformation of one group, whose `datastoreReady` says whether Calico uses it (group-choice.ts). What it is now is asked by the listener. It
 * ends where nothing is to be watched, and where no server answers: who reads objects finds out when one does again.
 */

import type { CalicoGroup } from '../../resource-kinds.ts';
import type { ApiConnection } from '../connection.ts';
import { ApiError } from '../error.ts';
import { Backoff, type Pace } from './back-off.ts';

export interface ReadyWatchOptions {
  readonly connection: ApiConnection;
  readonly pace: Pace;
  readonly group: CalicoGroup;
  /** It may be another. */
  readonly onChange: () => void;
  /** It is to be begun anew when there is reason to. Not called after `close`. */
  readonly onEnd: () => void;
}

const WATCH_S = 300;
const WATCH_IDLE_MS = 90_000;
/** A watch that ends sooner than this is no success. */
const SOON_MS = 1000;

export class ReadyWatch {
  readonly #options: ReadyWatchOptions;
  readonly #abort = new AbortController();
  readonly #done: Promise<void>;

  constructor(options: ReadyWatchOptions) {
    this.#options = options;
    this.#done = this.#run();
  }

  async close(): Promise<void> {
    this.#abort.abort();
    await this.#done;
  }

  async #run(): Promise<void> {
    const { pace, onChange, onEnd } = this.#options;
    const { signal } = this.#abort;
    const backoff = new Backoff(pace);
    while (!signal.aborted) {
      const began = pace.now();
      let pause = 0;
      try {
        await this.#watch();
        if (pace.now() - began < SOON_MS) pause = backoff.next();
        else backoff.reset();
      } catch (error) {
        const isAnswer = error instanceof ApiError && ![403, 404].includes(error.status);
        if (isAnswer) pause = backoff.next(error.retryAfter);
        // one that was open may have been cut
        else if (error instanceof ApiError || pace.now() - began < SOON_MS) break;
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
      timeoutSeconds: String(Math.round(WATCH_S * (1 + pace.random() / 5))),
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
    await this.#options.connection.stream(request, { silence: WATCH_IDLE_MS, onOpen: onChange, onLine });
  }
}
