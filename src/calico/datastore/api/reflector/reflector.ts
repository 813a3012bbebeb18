/**
 * Keeps what is known of one kind as the server has it: lists all, then watches, for as long as it is wanted. Nothing that a server or a network does ends
 * it; it tries again, slower and slower, and what was known stays. Kinds of Calico are listed anew when Calico moves to another API group, and of them a
 * deletion counts once it is known that their definition stands (known-objects.ts).
 */
import { listed, type Problem } from '../../../model/problem.ts';
import type { ClusterCache } from '../../cluster-cache.ts';
import { isFields } from '../../parse/reader.ts';
import { type CalicoGroup, KIND, type Kind } from '../../resource-kinds.ts';
import type { ApiConnection } from '../connection.ts';
import { ApiError, apiError, isExpired, parseJson, type ReadFailure } from '../error.ts';
import type { ApiGroup } from '../group.ts';
import { listAll } from '../list.ts';
import { Backoff, type Pace } from './back-off.ts';
import { DeletionJudge } from './deletion-judge.ts';
import { KnownObjects } from './known-objects.ts';

export interface ReflectorOptions {
  readonly kind: Kind;
  readonly connection: ApiConnection;
  readonly group: ApiGroup;
  readonly cache: ClusterCache;
  readonly pace: Pace;
  /** Objects, `read` or `failure` may be others. */
  readonly changed: () => void;
}

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
  readonly #known: KnownObjects;
  readonly #judge: DeletionJudge | undefined;
  #read = false;
  #failure: ReadFailure | undefined;
  /** Whether the server did not answer at all when it was asked last. */
  #away = false;
  /** Whether the server had the kind when it was asked last, and since when it has not. */
  #listed = false;
  #absentSince: number | undefined;
  /** Where the watch is to go on. Undefined: all must be listed. */
  #version: string | undefined;
  /** Of what was listed last, and of what was asked for last. */
  #group: CalicoGroup | undefined;
  #asked: CalicoGroup | undefined;
  #done: Promise<void> | undefined;

  constructor(options: ReflectorOptions) {
    const { kind, group, cache, pace, changed } = options;
    this.#options = options;
    this.#backoff = new Backoff(pace);
    this.#known = new KnownObjects(cache, kind);
    if (KIND[kind].group !== 'calico') return;
    const { plural } = KIND[kind];
    this.#judge = new DeletionJudge({ known: this.#known, group, plural, pace, changed, signal: this.#abort.signal });
  }

  /** Whether all of them were read once, or there is nothing to be read. */
  get read(): boolean {
    return this.#read;
  }

  /** What is wrong, while it is. */
  get failure(): ReadFailure | undefined {
    return this.#failure ?? this.#judge?.failure;
  }

  /** What somebody may want to know of objects that count though the server does not have them. */
  get held(): Problem | undefined {
    const { orphans } = this.#known;
    if (orphans.length === 0 || this.#failure) return undefined;
    const { plural } = KIND[this.#options.kind];
    return {
      object: `API/${plural}`,
      reason: 'ObjectsHeld',
      message: `${listed(orphans)} of ${plural} went with their definition, and are not there again since it is: what they said counts until they are created again, or until the agent is restarted`,
    };
  }

  start(): void {
    this.#done ??= this.#run();
  }

  async close(): Promise<void> {
    this.#abort.abort();
    await Promise.all([this.#done, this.#judge?.done]);
  }

  async #run(): Promise<void> {
    const { pace, group } = this.#options;
    const { signal } = this.#abort;
    while (!signal.aborted) {
      // of now: it aborts what is under way, and a wait, when all is to be read elsewhere
      const { moved } = group;
      const here = this.#judge ? AbortSignal.any([signal, moved]) : signal;
      let wait = 0;
      try {
        wait = await this.#once(here).catch(error => this.#threw(error as Error, here));
      } catch (error) {
        // what asked where the objects are
        if (!here.aborted) wait = this.#failed(error as Error);
      }
      if (wait > 0) await pace.sleep(wait, here);
    }
  }

  async #threw(error: Error, here: AbortSignal): Promise<number> {
    if (here.aborted) return 0;
    return error instanceof ApiError && error.status === 404 ? await this.#absent(error) : this.#failed(error);
  }

  /** Lists if need be, and watches until it ends. @returns milliseconds to wait */
  async #once(here: AbortSignal): Promise<number> {
    const group = this.#judge ? await this.#options.group.find() : undefined;
    if (this.#judge && !group) return await this.#absent();
    this.#asked = group;
    if (group !== this.#group) this.#version = undefined;
    const { plural } = KIND[this.#options.kind];
    const path = group ? `/apis/${group}/${plural}` : `/api/v1/${plural}`;
    if (this.#version === undefined) {
      const { version, objects } = await listAll(this.#options.connection, path, here);
      await this.#accept(group, objects, here);
      this.#version = version;
      this.#listed = true;
      this.#absentSince = undefined;
      this.#succeeded();
    }
    const began = this.#options.pace.now();
    let opened = false;
    try {
      await this.#watch(path, here, () => {
        opened = true;
        this.#judge?.watching(true);
        this.#succeeded();
      });
    } catch (error) {
      // a watch that breaks is not a server that is away: that is known when it cannot be opened again
      if (!opened || error instanceof ApiError) throw error;
    } finally {
      this.#judge?.watching(false);
    }
    if (this.#options.pace.now() - began < SOON) return this.#backoff.next();
    this.#backoff.reset();
    return 0;
  }

  /** A list counts if the definition stood after it was read: one that is being deleted has only a part of its objects, or none. */
  async #accept(group: CalicoGroup | undefined, objects: readonly unknown[], here: AbortSignal): Promise<void> {
    if (!this.#judge || !group) return this.#known.replace(objects, true);
    const isMove = this.#group !== undefined && this.#group !== group;
    const isContinued = isMove || this.#known.isContinuedBy(objects);
    const lacks = !isMove && isContinued && this.#known.lacks(objects);
    const stands = lacks ? await this.#judge.standsFor(group, here) : await this.#judge.stands(group);
    if (here.aborted) throw new Error('Calico has moved');
    if (!stands) {
      this.#known.orphan();
      void this.#options.group.look().catch(() => undefined);
      throw new Error(`the server is deleting the definition of ${KIND[this.#options.kind].plural}`);
    }
    const isLastWord = isMove && this.#options.group.isReady;
    if (!isContinued || (isMove && !isLastWord)) this.#known.orphan();
    this.#known.replace(objects, isLastWord);
    this.#judge.listed(group);
    this.#group = group;
  }

  async #watch(path: string, signal: AbortSignal, onOpen: () => void): Promise<void> {
    const { connection, pace } = this.#options;
    const seconds = Math.round(WATCH * (1 + pace.random() / 5));
    const query = {
      watch: 'true',
      allowWatchBookmarks: 'true',
      resourceVersion: this.#version!,
      timeoutSeconds: String(seconds),
    };
    const onLine = (line: string): void => this.#event(`GET ${path}`, parseJson(`GET ${path}`, line));
    await connection.stream({ method: 'GET', path, query, signal }, { silence: SILENCE, onOpen, onLine });
  }

  #event(what: string, event: unknown): void {
    const { changed } = this.#options;
    const { type, object } = isFields(event) ? event : {};
    if (type === 'ERROR') {
      const code = isFields(object) ? object['code'] : undefined;
      throw apiError(what, typeof code === 'number' ? code : 500, object);
    }
    const metadata = isFields(object) && isFields(object['metadata']) ? object['metadata'] : {};
    if (type === 'ADDED' || type === 'MODIFIED') this.#known.set(object);
    else if (type === 'DELETED') {
      this.#known.delete(object);
      if (this.#judge) this.#judge.judge();
      else this.#known.confirm(this.#known.deletions);
    } else if (type !== 'BOOKMARK') return;
    if (typeof metadata['resourceVersion'] === 'string') this.#version = metadata['resourceVersion'];
    if (type !== 'BOOKMARK') changed();
  }

  #succeeded(): void {
    this.#answered();
    this.#read = true;
    this.#failure = undefined;
    this.#options.group.answered();
    this.#options.changed();
  }

  /** A server that is back is not tried as seldom as one that was away for long, though it may not be ready for us yet. */
  #answered(): void {
    if (this.#away) this.#backoff.reset();
    this.#away = false;
  }

  /** No such kind. What was known of it counts for as long as it has no definition; where nothing was, there are none until Calico is installed. */
  async #absent(error?: ApiError): Promise<number> {
    const { kind, group, pace } = this.#options;
    const { plural } = KIND[kind];
    if (!this.#judge && error) return this.#failed(error);
    this.#version = undefined;
    if (error && (await group.look()) !== this.#asked) return 0;
    if (this.#asked && !this.#known.isEmpty && !(await this.#judge!.stands(this.#asked))) {
      this.#known.orphan();
      const message = `the server does not have ${plural} of ${this.#asked} any more; what was known of them counts`;
      return this.#failed(new Error(message), true);
    }
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
    this.#known.replace([], true);
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
