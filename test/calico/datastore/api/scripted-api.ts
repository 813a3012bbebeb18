/**
 * A scripted API server: answers each request with the next scripted answer, otherwise like an
 * empty cluster with Calico installed. Lists and watches of a path are scripted separately: `GET
 * /api/v1/nodes` and `WATCH /api/v1/nodes`.
 */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Pace } from '../../../../src/calico/datastore/api/reflector/back-off.ts';
import { HANG_MS } from '../../../support/patience.ts';

export interface Asked {
  readonly what: string;
  readonly query: Readonly<Record<string, string>>;
  readonly authorization: string | undefined;
  readonly contentType: string | undefined;
  /** The compression that the client accepts. */
  readonly encoding: string | undefined;
  readonly accept: string | undefined;
  readonly body: unknown;
  /** The raw body. */
  readonly text: string;
}

export type Answer = (response: ServerResponse, asked: Asked) => void;

export class ScriptedApi {
  readonly asked: Asked[] = [];
  readonly folder = mkdtempSync(join(tmpdir(), 'wgts-api-'));
  #server: Server | undefined;
  #port = 0;
  readonly #next = new Map<string, Answer[]>();
  readonly #always = new Map<string, Answer>();
  readonly #open = new Map<string, ServerResponse>();
  readonly #waiting = new Set<() => void>();

  async start(): Promise<void> {
    this.#server = createServer((request, response) => void this.#answer(request, response));
    await new Promise<void>(resolve => this.#server!.listen(this.#port, '127.0.0.1', resolve));
    this.#port = (this.#server.address() as AddressInfo).port;
    this.configure('a');
  }

  /** Stops like a killed server: refuses and resets connections. */
  async stop(): Promise<void> {
    const server = this.#server;
    this.#server = undefined;
    server?.closeAllConnections();
    await new Promise(resolve => (server ? server.close(resolve) : resolve(undefined)));
  }

  /** Makes the next start use another port. */
  move(): void {
    this.#port = 0;
  }

  async close(): Promise<void> {
    await this.stop();
    rmSync(this.folder, { recursive: true, force: true });
  }

  get kubeconfig(): string {
    return join(this.folder, 'kubeconfig');
  }

  configure(token: string): void {
    const cluster = {
      name: 'c',
      cluster: { server: `http://127.0.0.1:${this.#port}`, 'insecure-skip-tls-verify': true },
    };
    const config = {
      clusters: [cluster],
      users: [{ name: 'u', user: { token } }],
      contexts: [{ name: 'x', context: { cluster: 'c', user: 'u' } }],
      'current-context': 'x',
    };
    writeFileSync(this.kubeconfig, JSON.stringify(config));
  }

  /** Queues answers, which come before the default ones. */
  next(what: string, ...answers: Answer[]): void {
    this.#next.set(what, [...(this.#next.get(what) ?? []), ...answers]);
  }

  always(what: string, answer: Answer | undefined): void {
    if (answer) this.#always.set(what, answer);
    else this.#always.delete(what);
  }

  /** Counts the requests so far. */
  count(what: string): number {
    return this.asked.filter(asked => asked.what === what).length;
  }

  async until(what: () => boolean, within = HANG_MS): Promise<void> {
    const end = Date.now() + within;
    while (!what()) {
      if (Date.now() > end)
        throw new Error(
          `not in ${within} ms: ${what}; asked: ${this.asked
            .map(a => a.what)
            .join(', ')
            .slice(-1000)}`,
        );
      await new Promise<void>(resolve => {
        this.#waiting.add(resolve);
        setTimeout(resolve, 10);
      });
    }
  }

  /** Writes into the watch of a path, once it is open. */
  async send(path: string, ...events: unknown[]): Promise<void> {
    await this.until(() => this.#open.has(path));
    for (const event of events) this.#open.get(path)!.write(`${JSON.stringify(event)}\n`);
  }

  /** Ends the watch of a path, orderly or by a reset. */
  async end(path: string, how: 'end' | 'reset' = 'end'): Promise<void> {
    await this.until(() => this.#open.has(path));
    const response = this.#open.get(path)!;
    this.#open.delete(path);
    if (how === 'end') response.end();
    else response.socket?.resetAndDestroy();
  }

  async #answer(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const url = new URL(request.url ?? '/', 'http://localhost');
    const query = Object.fromEntries(url.searchParams);
    const isWatch = query['watch'] === 'true';
    const what = `${isWatch ? 'WATCH' : request.method} ${url.pathname}`;
    const chunks: Buffer[] = [];
    for await (const chunk of request as AsyncIterable<Buffer>) chunks.push(chunk);
    const text = Buffer.concat(chunks).toString();
    const body: unknown = text === '' ? undefined : JSON.parse(text);
    const { authorization, accept, 'content-type': contentType, 'accept-encoding': accepted } = request.headers;
    const encoding = typeof accepted === 'string' ? accepted : undefined;
    const asked = { what, query, authorization, contentType, accept, encoding, body, text };
    this.asked.push(asked);
    for (const each of this.#waiting) each();
    this.#waiting.clear();
    if (isWatch) {
      this.#open.set(url.pathname, response);
      response.on('close', () => this.#open.get(url.pathname) === response && this.#open.delete(url.pathname));
    }
    const answer = this.#next.get(what)?.shift() ?? this.#always.get(what);
    if (answer) answer(response, asked);
    else if (isWatch) response.writeHead(200, { 'content-type': 'application/json' }).flushHeaders();
    else if (url.pathname === '/apis')
      json({ groups: [{ name: 'apps' }, { name: 'crd.projectcalico.org' }] })(response, asked);
    else if (request.method === 'GET') list([])(response, asked);
    else json({})(response, asked);
  }
}

export function json(body: unknown, status = 200, headers: Record<string, string> = {}): Answer {
  return response =>
    void response.writeHead(status, { 'content-type': 'application/json', ...headers }).end(JSON.stringify(body));
}

export function list(items: readonly unknown[], resourceVersion = '1', more: object = {}): Answer {
  return json({ kind: 'List', apiVersion: 'v1', metadata: { resourceVersion, ...more }, items });
}

export function failure(code: number, reason: string, message = reason, headers: Record<string, string> = {}): Answer {
  return json({ kind: 'Status', apiVersion: 'v1', status: 'Failure', code, reason, message }, code, headers);
}

/** Accepts a watch and sends only these events. */
export function events(...all: unknown[]): Answer {
  return response => {
    response.writeHead(200, { 'content-type': 'application/json' }).flushHeaders();
    for (const event of all) response.write(`${JSON.stringify(event)}\n`);
  };
}

/** Sends no answer at all. */
export const hang: Answer = () => undefined;

export const reset: Answer = response => void response.socket?.resetAndDestroy();

export const node = (name: string, resourceVersion: string, annotations: Record<string, string> = {}): unknown => ({
  metadata: { name, uid: `uid-${name}`, resourceVersion, annotations },
});

/**
 * Sleeps a hundredth of the requested time, and records the requests.
 * @param clock whether the clock runs as fast
 */
export function fastPace(clock = false): Pace & { readonly slept: number[] } {
  const slept: number[] = [];
  const began = Date.now();
  return {
    slept,
    now: () => (clock ? began + (Date.now() - began) * 100 : Date.now()),
    random: () => 1,
    sleep: (milliseconds, signal) => {
      slept.push(milliseconds);
      return new Promise(resolve => {
        const done = (): void => {
          clearTimeout(timer);
          signal.removeEventListener('abort', done);
          resolve();
        };
        const timer = setTimeout(done, milliseconds / 100);
        signal.addEventListener('abort', done);
        if (signal.aborted) done();
      });
    },
  };
}
