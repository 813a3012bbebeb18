/**
 * Keeps what is known of one kind as the server has it: lists all, then watches, for as long as it is wanted. Nothing that a server or a network does ends
 * it; it tries again, slower and slower, and what was known stays.
 */
import type { Problem } from '../model/problem.ts';
import type { ApiConnection } from './api-connection.ts';
import { ApiError, apiError, parseJson } from './api-error.ts';
import type { ApiGroup } from './api-group.ts';
import type { ClusterCache } from './cluster-cache.ts';
import { KIND, type Kind } from './kinds.ts';
import { Backoff, type Pace } from './pace.ts';
import { isFields } from './parse/reader.ts';

export interface ReflectorOptions {
  readonly kind: Kind;
  readonly connection: ApiConnection;
  readonly group: ApiGroup;
  readonly cache: ClusterCache;
  readonly pace: Pace;
  /** Objects, `read` or `failure` may be others. */
  readonly changed: () => void;
}

export interface Failure {
  /** Unix time, milliseconds. */
  readonly since: number;
  readonly message: string;
  /** What somebody must mend; otherwise it passes by itself. */
  readonly problem?: Problem;
}

const PAGE = 500;
/** Seconds after which the server shall end a watch: five minutes and up to one more, so that not all of them end at once. */
const WATCH = 300;
/** Milliseconds. A server that is there sends a bookmark every minute or so. */
const SILENCE = 90_000;
/** Until a definition that is not there is looked for again. */
const ABSENT = 30_000;
/**
 * For how long a definition that is not there is one that comes: a server that begins does not have all of them at once. What was known of it counts,
 * and where nothing was, the cluster is not read yet: an agent that began with the server would take WireGuard for switched off.
 */
const GONE = 60_000;
/** A watch that ends sooner than this is no success. */
const SOON = 1000;

export class ApiReflector {
  readonly #options: ReflectorOptions;
  readonly #abort = new AbortController();
  readonly #backoff: Backoff;
  #read = false;
  #failure: Failure | undefined;
  /** Whether the server did not answer at all when it was asked last. */
  #away = false;
  /** Whether the server had the kind when it was asked last, and since when it has not. */
  #listed = false;
  #absentSince: number | undefined;
  /** Where the watch is to go on. Undefined: all must be listed. */
  #version: string | undefined;
  #done: Promise<void> | undefined;

  constructor(options: ReflectorOptions) {
    this.#options = options;
    this.#backoff = new Backoff(options.pace);
  }

  /** Whether all of them were read once, or there is nothing to be read. */
  get read(): boolean {
    return this.#read;
  }

  /** What is wrong, while it is. */
  get failure(): Failure | undefined {
    return this.#failure;
  }

  start(): void {
    this.#done ??= this.#run();
  }

  async close(): Promise<void> {
    this.#abort.abort();
    await this.#done;
  }

  async #run(): Promise<void> {
    const { pace } = this.#options;
    const { signal } = this.#abort;
    while (!signal.aborted) {
      let wait = 0;
      try {
        wait = await this.#once();
      } catch (error) {
        if (signal.aborted) return;
        if (error instanceof ApiError && error.status === 404) wait = this.#absent(error);
        else wait = this.#failed(error as Error);
      }
      if (wait > 0) await pace.sleep(wait, signal);
    }
  }

  /** Lists if need be, and watches until it ends. @returns milliseconds to wait */
  async #once(): Promise<number> {
    const path = await this.#path();
    if (path === undefined) return this.#absent();
    if (this.#version === undefined) {
      this.#version = await this.#list(path);
      this.#listed = true;
      this.#absentSince = undefined;
      this.#succeeded();
    }
    const began = this.#options.pace.now();
    let opened = false;
    try {
      await this.#watch(path, () => {
        opened = true;
        this.#succeeded();
      });
    } catch (error) {
      // a watch that breaks is not a server that is away: that is known when it cannot be opened again
      if (!opened || error instanceof ApiError) throw error;
    }
    if (this.#options.pace.now() - began < SOON) return this.#backoff.next();
    this.#backoff.reset();
    return 0;
  }

  async #path(): Promise<string | undefined> {
    const { kind, group } = this.#options;
    const { plural } = KIND[kind];
    if (KIND[kind].group === 'core') return `/api/v1/${plural}`;
    const found = await group.find();
    return found && `/apis/${found}/${plural}`;
  }

  /** @returns the version of the list */
  async #list(path: string): Promise<string> {
    const { connection, cache, kind } = this.#options;
    const { signal } = this.#abort;
    const objects: unknown[] = [];
    let query: Readonly<Record<string, string>> = { limit: String(PAGE) };
    for (;;) {
      let page: unknown;
      try {
        page = await connection.request({ method: 'GET', path, query, signal });
      } catch (error) {
        // the pages are of a state that the server has forgotten meanwhile: then all of them at once
        if (!isExpired(error) || query['continue'] === undefined) throw error;
        objects.length = 0;
        query = {};
        continue;
      }
      const { items, metadata } = isFields(page) ? page : {};
      const { resourceVersion, continue: next } = isFields(metadata) ? metadata : {};
      if (!Array.isArray(items) || typeof resourceVersion !== 'string')
        throw new Error(`GET ${path}: the answer is no list`);
      for (const item of items as unknown[]) objects.push(item);
      if (typeof next === 'string' && next !== '') query = { limit: String(PAGE), continue: next };
      else {
        cache.replace(kind, objects);
        return resourceVersion;
      }
    }
  }

  async #watch(path: string, onOpen: () => void): Promise<void> {
    const { connection, pace } = this.#options;
    const seconds = Math.round(WATCH * (1 + pace.random() / 5));
    const query = {
      watch: 'true',
      allowWatchBookmarks: 'true',
      resourceVersion: this.#version!,
      timeoutSeconds: String(seconds),
    };
    const { signal } = this.#abort;
    const onLine = (line: string): void => this.#event(`GET ${path}`, parseJson(`GET ${path}`, line));
    await connection.stream({ method: 'GET', path, query, signal }, { silence: SILENCE, onOpen, onLine });
  }

  #event(what: string, event: unknown): void {
    const { cache, kind, changed } = this.#options;
    const { type, object } = isFields(event) ? event : {};
    if (type === 'ERROR') {
      const code = isFields(object) ? object['code'] : undefined;
      throw apiError(what, typeof code === 'number' ? code : 500, object);
    }
    const metadata = isFields(object) && isFields(object['metadata']) ? object['metadata'] : {};
    if (type === 'ADDED' || type === 'MODIFIED') cache.set(kind, object);
    else if (type === 'DELETED') cache.delete(kind, object);
    else if (type !== 'BOOKMARK') return;
    if (typeof metadata['resourceVersion'] === 'string') this.#version = metadata['resourceVersion'];
    if (type !== 'BOOKMARK') changed();
  }

  #succeeded(): void {
    this.#answered();
    this.#read = true;
    this.#failure = undefined;
    this.#options.changed();
  }

  /** A server that is back is not tried as seldom as one that was away for long, though it may not be ready for us yet. */
  #answered(): void {
    if (this.#away) this.#backoff.reset();
    this.#away = false;
  }

  /** No such kind: there are none, until Calico is installed. */
  #absent(error?: ApiError): number {
    const { cache, kind, group, pace } = this.#options;
    const { plural } = KIND[kind];
    if (KIND[kind].group === 'core' && error) return this.#failed(error);
    group.forget();
    this.#version = undefined;
    this.#absentSince ??= pace.now();
    if (pace.now() - this.#absentSince < GONE)
      return this.#failed(
        new Error(
          this.#listed
            ? `the server does not have ${plural} any more; they count for ${GONE / 1000} s`
            : `the server does not have ${plural}; it has ${GONE / 1000} s to begin, before there is none of them`,
        ),
        true,
      );
    cache.replace(kind, []);
    this.#backoff.reset();
    this.#listed = false;
    this.#read = true;
    this.#failure = undefined;
    this.#options.changed();
    return ABSENT * (1 + pace.random() / 10);
  }

  #failed(error: Error, answered = error instanceof ApiError): number {
    const { pace, kind } = this.#options;
    const status = error instanceof ApiError ? error.status : 0;
    if (answered) this.#answered();
    else this.#away = true;
    if (isExpired(error)) {
      this.#version = undefined;
      return this.#backoff.next();
    }
    // a version that the server does not understand, of another cluster's life
    if (status === 400 || status === 422) this.#version = undefined;
    const since = this.#failure?.since ?? pace.now();
    const denied = status === 401 || status === 403;
    const problem = {
      object: `API/${KIND[kind].plural}`,
      reason: 'AccessDenied',
      message: `${error.message}; the agent needs get, list and watch of ${KIND[kind].plural}`,
    };
    this.#failure = { since, message: error.message, ...(denied && { problem }) };
    this.#options.changed();
    return this.#backoff.next(error instanceof ApiError ? error.retryAfter : undefined);
  }
}

/** The server does not know the version any more. It says so also inside a watch that it has accepted. */
function isExpired(error: unknown): boolean {
  return error instanceof ApiError && (error.status === 410 || error.reason === 'Expired');
}
