/**
 * Events on Nodes, as `kubectl describe node` shows them. The same again is the same Event with a higher count. They are told for people and not worth a
 * server's trouble: what comes too fast, or cannot be written, is dropped.
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
  /** Of a Node, where it is known: `kubectl describe` looks by it. */
  readonly uidOf: (node: string) => string | undefined;
}

interface Told {
  readonly event: NodeEvent;
  readonly name: string;
  readonly first: number;
  /** In all, and of them those that the server knows; -1 for an Event that it does not have. */
  count: number;
  written: number;
  last: number;
  /** When it was written last, or was to be. */
  tried: number;
  failures: number;
}

/** Events are not of a namespace's object, and are then in this one. */
const PATH = '/api/v1/namespaces/default/events';
const COMPONENT = 'wireguard-ts';
/** At once, and then one in so many milliseconds. */
const BURST = 25;
const REFILL = 10_000;
/** Between two writes of the same Event. */
const AGAIN = 30_000;
const MOST_KEPT = 500;
const MOST_FAILURES = 5;

export class ApiEvents {
  readonly #options: ApiEventsOptions;
  readonly #told = new Map<string, Told>();
  readonly #abort = new AbortController();
  #tokens = BURST;
  #filledAt: number;
  #writing: Promise<void> | undefined;
  /** Ends the wait, for one that is new. */
  #wake: AbortController | undefined;

  constructor(options: ApiEventsOptions) {
    this.#options = options;
    this.#filledAt = options.pace.now();
  }

  report(event: NodeEvent): void {
    const now = this.#options.pace.now();
    const key = createHash('sha256').update(JSON.stringify(event)).digest('hex').slice(0, 16);
    let told = this.#told.get(key);
    if (!told) {
      if (!this.#take(now)) return;
      const name = `${event.node.slice(0, 200).replace(/[^a-z0-9]+$/, '')}.${key}`;
      told = {
        event,
        name,
        first: now,
        count: 0,
        written: -1,
        last: now,
        tried: Number.NEGATIVE_INFINITY,
        failures: 0,
      };
      this.#wake?.abort();
    }
    // the last told is the last in the map
    this.#told.delete(key);
    this.#told.set(key, told);
    if (this.#told.size > MOST_KEPT) this.#told.delete(this.#told.keys().next().value!);
    told.count++;
    told.last = now;
    told.failures = 0;
    this.#writing ??= this.#write();
  }

  async close(): Promise<void> {
    this.#abort.abort();
    await this.#writing;
  }

  #take(now: number): boolean {
    const earned = Math.floor((now - this.#filledAt) / REFILL);
    if (earned > 0) {
      this.#tokens = Math.min(BURST, this.#tokens + earned);
      this.#filledAt += earned * REFILL;
    }
    if (this.#tokens === 0) return false;
    this.#tokens--;
    return true;
  }

  /** Until there is nothing to write; what comes meanwhile for the same Event is one write, some time later. */
  async #write(): Promise<void> {
    const { pace } = this.#options;
    const { signal } = this.#abort;
    while (!signal.aborted) {
      this.#wake = new AbortController();
      const unwritten = [...this.#told.values()].filter(
        ({ count, written, failures }) => count > Math.max(written, 0) && failures < MOST_FAILURES,
      );
      if (unwritten.length === 0) break;
      for (const told of unwritten) if (pace.now() - told.tried >= AGAIN && !signal.aborted) await this.#tell(told);
      await pace.sleep(AGAIN, AbortSignal.any([signal, this.#wake.signal]));
    }
    this.#writing = undefined;
  }

  async #tell(told: Told): Promise<void> {
    const { count } = told;
    told.tried = this.#options.pace.now();
    try {
      await this.#send(told, count);
      told.written = count;
    } catch {
      told.failures++;
    }
  }

  async #send(told: Told, count: number): Promise<void> {
    if (told.written >= 0 && (await this.#raise(told, count - told.written))) return;
    try {
      await this.#request('POST', PATH, this.#object(told, count));
    } catch (error) {
      // from before this program was started again
      if (!(error instanceof ApiError && error.status === 409)) throw error;
      if (!(await this.#raise(told, count - Math.max(told.written, 0)))) throw error;
    }
  }

  /** @returns false where the Event is gone: servers keep them for an hour */
  async #raise({ name, last }: Told, by: number): Promise<boolean> {
    const path = `${PATH}/${name}`;
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

  #object({ event, name, first, last }: Told, count: number): unknown {
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
