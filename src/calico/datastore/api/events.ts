/**
 * Writes Events on Nodes, which `kubectl describe node` shows. A repeated Event raises the count of
 * the stored Event. Events only inform people and must not burden the server. They are therefore
 * dropped above a rate limit, or after several failed writes.
 */
import { createHash } from 'node:crypto';
import type { NodeEvent } from '../datastore.ts';
import { isFields } from '../parse/reader.ts';
import type { ApiConnection } from './connection.ts';
import { ApiError } from './error.ts';
import type { Pace } from './reflector/back-off.ts';

export interface ApiEventsOptions {
  readonly connection: ApiConnection;
  readonly pace: Pace;
  /** Returns a Node's uid, if known: `kubectl describe` finds Events by uid. */
  readonly uidOf: (node: string) => string | undefined;
}

interface TrackedEvent {
  readonly event: NodeEvent;
  readonly name: string;
  readonly first: number;
  /** Number of occurrences. */
  count: number;
  /** Occurrences that the stored Event counts; -1 before the Event is created. */
  written: number;
  last: number;
  /** When the last write was attempted. */
  attemptedAt: number;
  failures: number;
}

/** Events on cluster-scoped objects must be in the default namespace. */
const EVENTS_PATH = '/api/v1/namespaces/default/events';
const COMPONENT = 'wireguard-ts';
/** Rate limit of new Events: at most BURST at once, then one every REFILL_MS. */
const BURST = 25;
const REFILL_MS = 10_000;
/** Minimum time between two writes of the same Event. */
const REWRITE_INTERVAL_MS = 30_000;
const MAX_TRACKED = 500;
const MAX_FAILURES = 5;

export class ApiEvents {
  readonly #options: ApiEventsOptions;
  readonly #tracked = new Map<string, TrackedEvent>();
  readonly #abort = new AbortController();
  #tokens = BURST;
  #filledAt: number;
  #writing: Promise<void> | undefined;
  /** Ends the pause between writes when a new Event arrives. */
  #interruptWait: AbortController | undefined;

  constructor(options: ApiEventsOptions) {
    this.#options = options;
    this.#filledAt = options.pace.now();
  }

  report(event: NodeEvent): void {
    const now = this.#options.pace.now();
    const key = createHash('sha256').update(JSON.stringify(event)).digest('hex').slice(0, 16);
    let tracked = this.#tracked.get(key);
    if (!tracked) {
      if (!this.#takeToken(now)) return;
      const name = `${event.node.slice(0, 200).replace(/[^a-z0-9]+$/, '')}.${key}`;
      tracked = {
        event,
        name,
        first: now,
        count: 0,
        written: -1,
        last: now,
        attemptedAt: Number.NEGATIVE_INFINITY,
        failures: 0,
      };
      this.#interruptWait?.abort();
    }
    // Keep the map in order of last occurrence, so that the oldest entry is evicted.
    this.#tracked.delete(key);
    this.#tracked.set(key, tracked);
    if (this.#tracked.size > MAX_TRACKED) this.#tracked.delete(this.#tracked.keys().next().value!);
    tracked.count++;
    tracked.last = now;
    tracked.failures = 0;
    this.#writing ??= this.#writePending();
  }

  async close(): Promise<void> {
    this.#abort.abort();
    await this.#writing;
  }

  #takeToken(now: number): boolean {
    const earned = Math.floor((now - this.#filledAt) / REFILL_MS);
    if (earned > 0) {
      this.#tokens = Math.min(BURST, this.#tokens + earned);
      this.#filledAt += earned * REFILL_MS;
    }
    if (this.#tokens === 0) return false;
    this.#tokens--;
    return true;
  }

  /**
   * Writes until nothing is pending. Repetitions of an Event between two writes are counted in one
   * write.
   */
  async #writePending(): Promise<void> {
    const { pace } = this.#options;
    const { signal } = this.#abort;
    while (!signal.aborted) {
      this.#interruptWait = new AbortController();
      const unwritten = [...this.#tracked.values()].filter(
        ({ count, written, failures }) => count > Math.max(written, 0) && failures < MAX_FAILURES,
      );
      if (unwritten.length === 0) break;
      for (const tracked of unwritten)
        if (pace.now() - tracked.attemptedAt >= REWRITE_INTERVAL_MS && !signal.aborted) await this.#tryWrite(tracked);
      await pace.sleep(REWRITE_INTERVAL_MS, AbortSignal.any([signal, this.#interruptWait.signal]));
    }
    this.#writing = undefined;
  }

  async #tryWrite(tracked: TrackedEvent): Promise<void> {
    const { count } = tracked;
    tracked.attemptedAt = this.#options.pace.now();
    try {
      await this.#send(tracked, count);
      tracked.written = count;
    } catch {
      tracked.failures++;
    }
  }

  async #send(tracked: TrackedEvent, count: number): Promise<void> {
    if (tracked.written >= 0 && (await this.#raiseCount(tracked, count - tracked.written))) return;
    try {
      await this.#request('POST', EVENTS_PATH, this.#object(tracked, count));
    } catch (error) {
      // This program created the Event before it restarted.
      if (!(error instanceof ApiError && error.status === 409)) throw error;
      if (!(await this.#raiseCount(tracked, count - Math.max(tracked.written, 0)))) throw error;
    }
  }

  /**
   * Raises the count of the stored Event.
   * @returns false if the server has deleted the Event, by default after an hour
   */
  async #raiseCount({ name, last }: TrackedEvent, by: number): Promise<boolean> {
    const path = `${EVENTS_PATH}/${name}`;
    try {
      const old = await this.#request('GET', path);
      const count = isFields(old) && typeof old['count'] === 'number' ? old['count'] : 0;
      await this.#request('PATCH', path, { count: count + by, lastTimestamp: timestamp(last) });
      return true;
    } catch (error) {
      if (error instanceof ApiError && error.status === 404) return false;
      throw error;
    }
  }

  #request(method: 'GET' | 'POST' | 'PATCH', path: string, body?: unknown): Promise<unknown> {
    return this.#options.connection.request({ method, path, body, signal: this.#abort.signal });
  }

  #object({ event, name, first, last }: TrackedEvent, count: number): unknown {
    const { node, type, reason, message } = event;
    const uid = this.#options.uidOf(node);
    return {
      apiVersion: 'v1',
      kind: 'Event',
      metadata: { name, namespace: 'default' },
      involvedObject: { apiVersion: 'v1', kind: 'Node', name: node, ...(uid !== undefined && { uid }) },
      type,
      reason: reason.slice(0, 128),
      message: message.length > 1024 ? `${message.slice(0, 1021)}...` : message,
      source: { component: COMPONENT, host: node },
      reportingComponent: COMPONENT,
      reportingInstance: node.slice(0, 128),
      firstTimestamp: timestamp(first),
      lastTimestamp: timestamp(last),
      count,
    };
  }
}

function timestamp(milliseconds: number): string {
  return new Date(milliseconds).toISOString().replace(/\.\d+Z$/, 'Z');
}
