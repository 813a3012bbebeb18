/**
 * Mirrors the server's objects of one kind into the cache: lists all, then watches until closed.
 * Server and network errors do not end the reflector: it retries with back-off and keeps the known
 * objects. Calico's kinds are listed again when Calico moves to another API group, and deletions of
 * their objects take effect only after their CRD is known to be established (known-objects.ts).
 */
import { listed, type Problem } from '../../../model/problem.ts';
import type { ClusterCache } from '../../cluster-cache.ts';
import { isFields } from '../../parse/reader.ts';
import { type CalicoGroup, KIND, type Kind } from '../../resource-kinds.ts';
import type { ApiConnection } from '../connection.ts';
import { ApiError, apiError, isExpired, parseJson, type ReadFailure } from '../error.ts';
import type { ApiGroup } from '../group.ts';
import { listAll } from '../list.ts';
import { JitteredBackOff, type Pace } from './back-off.ts';
import { DeletionVerifier } from './deletion-verifier.ts';
import { KnownObjects } from './known-objects.ts';

export interface ReflectorOptions {
  readonly kind: Kind;
  readonly connection: ApiConnection;
  readonly group: ApiGroup;
  readonly cache: ClusterCache;
  readonly pace: Pace;
  /** Called when objects, `hasSynced` or `failure` may have changed. */
  readonly onChange: () => void;
}

/** The server ends a watch after this time plus up to 20 %: watches end at different times. */
const WATCH_TIMEOUT_S = 300;
/** A reachable server sends a bookmark about every minute. */
const WATCH_IDLE_MS = 90_000;
/** Pause before the next attempt to list a kind whose CRD is missing. */
const ABSENT_RETRY_MS = 30_000;
/**
 * How long a missing CRD is treated as "still being installed": a starting server does not have all
 * CRDs at once. During this time known objects stay in effect. If none are known, the cluster
 * counts as not yet read. Otherwise an agent that starts together with the server would conclude
 * that WireGuard is switched off.
 */
const DEFINITION_GRACE_MS = 60_000;
/** A watch that ends sooner counts as a failure. */
const SHORT_WATCH_MS = 1000;

export class ApiReflector {
  readonly #options: ReflectorOptions;
  readonly #abort = new AbortController();
  readonly #backOff: JitteredBackOff;
  readonly #known: KnownObjects;
  readonly #verifier: DeletionVerifier | undefined;
  #hasSynced = false;
  #failure: ReadFailure | undefined;
  /** Whether the last request failed without an answer. */
  #isUnreachable = false;
  /** Whether the server had the kind when it was last listed. */
  #wasServed = false;
  /** When the server was first found not to have the kind; undefined while it has the kind. */
  #absentSince: number | undefined;
  /** The version from which the watch continues; undefined if all objects must be listed first. */
  #resourceVersion: string | undefined;
  /** The group of the last successful list. */
  #listedGroup: CalicoGroup | undefined;
  /** The group of the last request. */
  #requestedGroup: CalicoGroup | undefined;
  #running: Promise<void> | undefined;

  constructor(options: ReflectorOptions) {
    const { kind, group, cache, pace, onChange } = options;
    this.#options = options;
    this.#backOff = new JitteredBackOff(pace);
    this.#known = new KnownObjects(cache, kind);
    if (KIND[kind].group !== 'calico') return;
    const { plural } = KIND[kind];
    const { signal } = this.#abort;
    this.#verifier = new DeletionVerifier({ known: this.#known, group, plural, pace, onChange, signal });
  }

  /** Whether all objects have been read once, or the server does not have the kind. */
  get hasSynced(): boolean {
    return this.#hasSynced;
  }

  /** The current failure, if any. */
  get failure(): ReadFailure | undefined {
    return this.#failure ?? this.#verifier?.failure;
  }

  /** Reports objects that stay in effect although the server no longer has them. */
  get heldProblem(): Problem | undefined {
    const { orphans } = this.#known;
    if (orphans.length === 0 || this.#failure) return undefined;
    const { plural } = KIND[this.#options.kind];
    return {
      object: `API/${plural}`,
      reason: 'ObjectsHeld',
      message: `${listed(orphans)} of ${plural} were deleted with their CRD and have not been created again: their last known state stays in effect until they are, or until the agent is restarted`,
    };
  }

  start(): void {
    this.#running ??= this.#run();
  }

  async close(): Promise<void> {
    this.#abort.abort();
    await Promise.all([this.#running, this.#verifier?.done]);
  }

  async #run(): Promise<void> {
    const { pace, group } = this.#options;
    const { signal } = this.#abort;
    while (!signal.aborted) {
      // When Calico moves to another group, this iteration's requests and pauses are aborted.
      const { moved } = group;
      const scope = this.#verifier ? AbortSignal.any([signal, moved]) : signal;
      let wait = 0;
      try {
        wait = await this.#listAndWatch(scope).catch(error => this.#handleError(error as Error, scope));
      } catch (error) {
        // Resolving the group failed.
        if (!scope.aborted) wait = this.#recordFailure(error as Error);
      }
      if (wait > 0) await pace.sleep(wait, scope);
    }
  }

  async #handleError(error: Error, scope: AbortSignal): Promise<number> {
    if (scope.aborted) return 0;
    return error instanceof ApiError && error.status === 404
      ? await this.#handleAbsent(error)
      : this.#recordFailure(error);
  }

  /** Lists if necessary, then watches until the watch ends. @returns the pause in milliseconds */
  async #listAndWatch(scope: AbortSignal): Promise<number> {
    const group = this.#verifier ? await this.#options.group.resolve() : undefined;
    if (this.#verifier && !group) return await this.#handleAbsent();
    this.#requestedGroup = group;
    if (group !== this.#listedGroup) this.#resourceVersion = undefined;
    const { plural } = KIND[this.#options.kind];
    const path = group ? `/apis/${group}/${plural}` : `/api/v1/${plural}`;
    if (this.#resourceVersion === undefined) {
      const { kind, connection, cache } = this.#options;
      const { version, objects } = await listAll(connection, path, scope, object => cache.slim(kind, object));
      await this.#acceptList(group, objects, scope);
      this.#resourceVersion = version;
      this.#wasServed = true;
      this.#absentSince = undefined;
      this.#onSuccess();
    }
    const began = this.#options.pace.now();
    let opened = false;
    try {
      await this.#watch(path, scope, () => {
        opened = true;
        this.#verifier?.onWatch(true);
        this.#onSuccess();
      });
    } catch (error) {
      // A broken watch does not prove that the server is unreachable; a failure to reopen the watch
      // does.
      if (!opened || error instanceof ApiError) throw error;
    } finally {
      this.#verifier?.onWatch(false);
    }
    if (this.#options.pace.now() - began < SHORT_WATCH_MS) return this.#backOff.next();
    this.#backOff.reset();
    return 0;
  }

  /**
   * Accepts a list if its CRD is still established after the list was read. The list of a CRD that
   * is being deleted holds only some of its objects, or none.
   */
  async #acceptList(group: CalicoGroup | undefined, objects: readonly unknown[], scope: AbortSignal): Promise<void> {
    if (!this.#verifier || !group) return this.#known.replace(objects, true);
    const isMove = this.#listedGroup !== undefined && this.#listedGroup !== group;
    const isContinued = isMove || this.#known.isContinuedBy(objects);
    const hasUnlisted = !isMove && isContinued && this.#known.hasUnlisted(objects);
    const isEstablished = hasUnlisted
      ? await this.#verifier.staysEstablished(group, scope)
      : await this.#verifier.isEstablished(group);
    if (scope.aborted) throw new Error('Calico has moved');
    if (!isEstablished) {
      this.#known.orphanAll();
      void this.#options.group.refresh().catch(() => undefined);
      throw new Error(`the server is deleting the CRD of ${KIND[this.#options.kind].plural}`);
    }
    const isAuthoritative = isMove && this.#options.group.isReady;
    if (!isContinued || (isMove && !isAuthoritative)) this.#known.orphanAll();
    this.#known.replace(objects, isAuthoritative);
    this.#verifier.onListed(group);
    this.#listedGroup = group;
  }

  async #watch(path: string, signal: AbortSignal, onOpen: () => void): Promise<void> {
    const { connection, pace } = this.#options;
    const seconds = Math.round(WATCH_TIMEOUT_S * (1 + pace.random() / 5));
    const query = {
      watch: 'true',
      allowWatchBookmarks: 'true',
      resourceVersion: this.#resourceVersion!,
      timeoutSeconds: String(seconds),
    };
    const onLine = (line: string): void => this.#handleEvent(`GET ${path}`, parseJson(`GET ${path}`, line));
    await connection.stream({ method: 'GET', path, query, signal }, { idleMs: WATCH_IDLE_MS, onOpen, onLine });
  }

  #handleEvent(what: string, event: unknown): void {
    const { onChange } = this.#options;
    const { type, object } = isFields(event) ? event : {};
    if (type === 'ERROR') {
      const code = isFields(object) ? object['code'] : undefined;
      throw apiError(what, typeof code === 'number' ? code : 500, object);
    }
    const metadata = isFields(object) && isFields(object['metadata']) ? object['metadata'] : {};
    if (type === 'ADDED' || type === 'MODIFIED') this.#known.set(object);
    else if (type === 'DELETED') {
      this.#known.delete(object);
      if (this.#verifier) this.#verifier.verify();
      else this.#known.confirmDeletions(this.#known.deletions);
    } else if (type !== 'BOOKMARK') return;
    if (typeof metadata['resourceVersion'] === 'string') this.#resourceVersion = metadata['resourceVersion'];
    if (type !== 'BOOKMARK') onChange();
  }

  #onSuccess(): void {
    this.#onAnswer();
    this.#hasSynced = true;
    this.#failure = undefined;
    this.#options.group.onServerAnswer();
    this.#options.onChange();
  }

  /** Resets the back-off when the server answers again, even with a refusal: retry soon. */
  #onAnswer(): void {
    if (this.#isUnreachable) this.#backOff.reset();
    this.#isUnreachable = false;
  }

  /**
   * Handles a kind that the server does not have. Known objects stay in effect while their CRD is
   * missing. If none are known, the kind counts as empty after the grace period.
   */
  async #handleAbsent(error?: ApiError): Promise<number> {
    const { kind, group, pace } = this.#options;
    const { plural } = KIND[kind];
    if (!this.#verifier && error) return this.#recordFailure(error);
    this.#resourceVersion = undefined;
    if (error && (await group.refresh()) !== this.#requestedGroup) return 0;
    if (this.#requestedGroup && !this.#known.isEmpty && !(await this.#verifier!.isEstablished(this.#requestedGroup))) {
      this.#known.orphanAll();
      const message = `the server no longer has ${plural} of ${this.#requestedGroup}; their last known state stays in effect`;
      return this.#recordFailure(new Error(message), true);
    }
    this.#absentSince ??= pace.now();
    if (pace.now() - this.#absentSince < DEFINITION_GRACE_MS)
      return this.#recordFailure(
        new Error(
          this.#wasServed
            ? `the server no longer has ${plural}; their last known state stays in effect for ${DEFINITION_GRACE_MS / 1000} s`
            : `the server does not have ${plural}; they may still be being installed, so the agent waits ${DEFINITION_GRACE_MS / 1000} s for them`,
        ),
        true,
      );
    this.#known.replace([], true);
    this.#backOff.reset();
    this.#wasServed = false;
    this.#hasSynced = true;
    this.#failure = undefined;
    this.#options.onChange();
    return ABSENT_RETRY_MS * (1 + pace.random() / 10);
  }

  #recordFailure(error: Error, answered = error instanceof ApiError): number {
    const { pace, kind } = this.#options;
    const status = error instanceof ApiError ? error.status : 0;
    if (answered) this.#onAnswer();
    else this.#isUnreachable = true;
    if (isExpired(error)) {
      this.#resourceVersion = undefined;
      return this.#backOff.next();
    }
    // The server rejects this version: it probably dates from before the cluster was rebuilt.
    if (status === 400 || status === 422) this.#resourceVersion = undefined;
    const since = this.#failure?.since ?? pace.now();
    const isDenied = status === 401 || status === 403;
    const problem = {
      object: `API/${KIND[kind].plural}`,
      reason: 'AccessDenied',
      message: `${error.message}; the agent needs get, list and watch of ${KIND[kind].plural}`,
    };
    this.#failure = { since, message: error.message, ...(isDenied && { problem }) };
    this.#options.onChange();
    return this.#backOff.next(error instanceof ApiError ? error.retryAfterMs : undefined);
  }
}
