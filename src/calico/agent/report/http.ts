/**
 * `/healthz` (the agent turns), `/readyz` (this node does what it shall) and `/metrics`, for the kubelet and Prometheus. Reads nothing of what it is
 * sent, and changes nothing.
 */
import { createServer, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo, Socket } from 'node:net';
import { type AgentStatus, illness, unreadiness } from '../status.ts';
import type { Metrics } from './metrics.ts';

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

/** The oldest make room for new ones: whoever holds them all must not keep the kubelet out, which would end us. */
const MAX_CONNECTIONS = 64;
const PATIENCE = 5_000;
/** Problems that /readyz lists. */
const MOST_LISTED = 100;

/** @throws Error with `code`: EADDRINUSE, ... */
export async function serveHttp(options: HttpOptions): Promise<HttpServer> {
  const { host, port } = options;
  const server = createServer(
    { requestTimeout: PATIENCE, headersTimeout: PATIENCE, connectionsCheckingInterval: 1_000, maxHeaderSize: 8192 },
    (request, response) => {
      request.resume();
      if (request.method !== 'GET' && request.method !== 'HEAD') {
        response.setHeader('allow', 'GET, HEAD');
        return send(response, 405, 'GET is all there is\n');
      }
      answer(options, request.url ?? '/', response).catch((error: unknown) => send(response, 500, `${error}\n`));
    },
  );
  const open = new Set<Socket>();
  server.on('connection', (socket: Socket) => {
    open.add(socket);
    socket.on('close', () => open.delete(socket)).on('error', () => {});
    // who sends nothing at all is none that the server's own limits are for
    socket.setTimeout(PATIENCE, () => socket.destroy());
    const [oldest] = open;
    if (open.size > MAX_CONNECTIONS) oldest?.destroy();
  });
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
      const body = {
        ready: reasons.length === 0,
        phase,
        reasons,
        ...(stale !== undefined && { stale }),
        problemCount: problems.length,
        problems: problems.slice(0, MOST_LISTED),
      };
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
    server.once('error', error => {
      reject(Object.assign(error, { message: `--http ${host}:${port}: ${error.message}; take another, or off` }));
    });
    server.listen({ host, port }, () => {
      server.removeAllListeners('error');
      // what fails later concerns one connection
      server.on('error', () => {});
      resolve();
    });
  });
}
