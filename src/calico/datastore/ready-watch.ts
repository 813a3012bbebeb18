/** Watches the ClusterInformation of one group, whose `datastoreReady` says whether Calico uses it (group-choice.ts). What it is now is asked by the listener. */
import type { ApiConnection } from './api-connection.ts';
import { ApiError } from './api-error.ts';
import type { CalicoGroup } from './kinds.ts';
import { Backoff, type Pace } from './pace.ts';

export interface ReadyWatchOptions {
  readonly connection: ApiConnection;
  readonly pace: Pace;
  readonly group: CalicoGroup;
  /** It may be another. */
  readonly onChange: () => void;
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
    const { pace, group, connection, onChange } = this.#options;
    const { signal } = this.#abort;
    const backoff = new Backoff(pace);
    const path = `/apis/${group}/clusterinformations`;
    while (!signal.aborted) {
      const began = pace.now();
      let pause = 0;
      try {
        const query = {
          watch: 'true',
          allowWatchBookmarks: 'true',
          timeoutSeconds: String(Math.round(WATCH_S * (1 + pace.random() / 5))),
        };
        const onLine = (line: string): void => {
          if (!line.includes('"BOOKMARK"')) onChange();
        };
        const stream = { silence: WATCH_IDLE_MS, onOpen: onChange, onLine };
        await connection.stream({ method: 'GET', path, query, signal }, stream);
        if (pace.now() - began < SOON_MS) pause = backoff.next();
        else backoff.reset();
      } catch (error) {
        pause = backoff.next(error instanceof ApiError ? error.retryAfter : undefined);
      }
      if (signal.aborted) return;
      onChange();
      if (pause > 0) await pace.sleep(pause, signal);
    }
  }
}
