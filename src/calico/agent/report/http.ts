/**
 * Serves `/healthz` (whether the agent's loop is alive), `/readyz` (whether this node has
 * converged) and `/metrics` to the kubelet and Prometheus. Ignores request bodies; no request
 * changes any state.
 */
import { createServer, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo, Socket } from 'node:net';
import { type AgentStatus, hangReason, unreadyReasons } from '../status.ts';
import type { Metrics } from './metrics.ts';

export interface HttpOptions {
  readonly host: string;
  /** 0 selects any free port. */
  readonly port: number;
  readonly metrics: Metrics;
  status(): AgentStatus;
  /** Returns the agent clock's time in milliseconds. */
  now(): number;
}

export interface HttpServer {
  readonly port: number;
  close(): void;
}

/**
 * Maximum number of open connections. A further connection closes the oldest one: otherwise a
 * client that holds all connections would lock out the kubelet, which would then restart the agent.
 */
const MAX_CONNECTIONS = 64;
const REQUEST_TIMEOUT_MS = 5_000;
/** Maximum number of problems in a /readyz answer. */
const MAX_LISTED = 100;

/** Starts the server. @throws Error with `code`, such as EADDRINUSE */
export async function serveHttp(options: HttpOptions): Promise<HttpServer> {
  const { host, port } = options;
  const server = createServer(
    {
      requestTimeout: REQUEST_TIMEOUT_MS,
      headersTimeout: REQUEST_TIMEOUT_MS,
      connectionsCheckingInterval: 1_000,
      maxHeaderSize: 8192,
    },
    (request, response) => {
      request.resume();
      if (request.method !== 'GET' && request.method !== 'HEAD') {
        response.setHeader('allow', 'GET, HEAD');
        return send(response, 405, 'only GET and HEAD are supported\n');
      }
      answer(options, request.url ?? '/', response).catch((error: unknown) => send(response, 500, `${error}\n`));
    },
  );
  const open = new Set<Socket>();
  server.on('connection', (socket: Socket) => {
    open.add(socket);
    socket.on('close', () => open.delete(socket)).on('error', () => {});
    // The server's own timeouts do not cover a client that sends nothing at all.
    socket.setTimeout(REQUEST_TIMEOUT_MS, () => socket.destroy());
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
      const reason = hangReason(status(), now());
      return send(response, reason ? 503 : 200, `${reason ?? 'ok'}\n`);
    }
    case '/readyz': {
      const current = status();
      const reasons = unreadyReasons(current);
      const { phase, stale, problems } = current;
      const body = {
        ready: reasons.length === 0,
        phase,
        reasons,
        ...(stale !== undefined && { stale }),
        problemCount: problems.length,
        problems: problems.slice(0, MAX_LISTED),
      };
      return send(response, reasons.length === 0 ? 200 : 503, `${JSON.stringify(body)}\n`, 'application/json');
    }
    case '/metrics':
      return send(response, 200, await metrics.text(status()), 'text/plain; version=0.0.4; charset=utf-8');
    default:
      return send(response, 404, 'not found; available are /healthz, /readyz and /metrics\n');
  }
}

function send(response: ServerResponse, code: number, text: string, type = 'text/plain; charset=utf-8'): void {
  if (response.headersSent) return void response.destroy();
  response.writeHead(code, { 'content-type': type, 'cache-control': 'no-store' }).end(text);
}

function listen(server: Server, host: string, port: number): Promise<void> {
  return new Promise((resolve, reject) => {
    server.once('error', error => {
      reject(
        Object.assign(error, {
          message: `--http ${host}:${port}: ${error.message}; choose another address or port, or --http off`,
        }),
      );
    });
    server.listen({ host, port }, () => {
      server.removeAllListeners('error');
      // Later errors concern only single connections.
      server.on('error', () => {});
      resolve();
    });
  });
}
