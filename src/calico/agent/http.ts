/**
 * `/healthz` (the agent turns), `/readyz` (this node does what it shall) and `/metrics`, for the kubelet and Prometheus. Reads nothing of what it is
 * sent, and changes nothing.
 */
import { createServer, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import type { Metrics } from './metrics.ts';
import { type AgentStatus, illness, unreadiness } from './status.ts';

export interface HttpOptions {
  readonly host: string;
  /** 0: whichever is free. */
  readonly port: number;
  readonly metrics: Metrics;
  status(): AgentStatus;
  /** Of the agent's clock. */
  now(): number;
}

export interface HttpServer {
  readonly port: number;
  close(): void;
}

const MAX_CONNECTIONS = 64;

/** @throws Error with `code`: EADDRINUSE, ... */
export async function serveHttp(options: HttpOptions): Promise<HttpServer> {
  const { host, port } = options;
  const server = createServer(
    { requestTimeout: 5_000, headersTimeout: 5_000, maxHeaderSize: 8192 },
    (request, response) => {
      request.resume();
      if (request.method !== 'GET' && request.method !== 'HEAD') return send(response, 405, 'GET is all there is\n');
      answer(options, request.url ?? '/', response).catch((error: unknown) => send(response, 500, `${error}\n`));
    },
  );
  server.maxConnections = MAX_CONNECTIONS;
  await listen(server, host, port);
  return {
    port: (server.address() as AddressInfo).port,
    close() {
      server.close();
      server.closeAllConnections();
    },
  };
}

async function answer(options: HttpOptions, url: string, response: ServerResponse): Promise<void> {
  const { metrics, status, now } = options;
  switch (url.split('?')[0]) {
    case '/healthz': {
      const ill = illness(status(), now());
      return send(response, ill ? 503 : 200, `${ill ?? 'ok'}\n`);
    }
    case '/readyz': {
      const current = status();
      const reasons = unreadiness(current);
      const { phase, stale, problems } = current;
      const body = { ready: reasons.length === 0, phase, reasons, ...(stale !== undefined && { stale }), problems };
      return send(response, reasons.length === 0 ? 200 : 503, `${JSON.stringify(body)}\n`, 'application/json');
    }
    case '/metrics':
      return send(response, 200, await metrics.text(status()), 'text/plain; version=0.0.4; charset=utf-8');
    default:
      return send(response, 404, 'there are /healthz, /readyz and /metrics\n');
  }
}

function send(response: ServerResponse, code: number, text: string, type = 'text/plain; charset=utf-8'): void {
  if (response.headersSent) return void response.destroy();
  response.writeHead(code, { 'content-type': type, 'cache-control': 'no-store' }).end(text);
}

function listen(server: Server, host: string, port: number): Promise<void> {
  return new Promise((resolve, reject) => {
    server.once('error', reject);
    server.listen({ host, port }, () => {
      server.off('error', reject);
      // what fails later concerns one connection
      server.on('error', () => {});
      resolve();
    });
  });
}
