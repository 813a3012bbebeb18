/**
 * The control socket that `wg` and wireguard-go's clients speak to: /var/run/wireguard/NAME.sock, mode 0600 in a directory
 * of mode 0755 (wireguard-go ipc/uapi_linux.go; wireguard-tools ipc-uapi-unix.h). Any number of operations on a connection. A
 * socket that nobody answers is replaced; one that somebody answers is an error. When the socket is unlinked, the device ends.
 */

import { chmodSync, type FSWatcher, mkdirSync, statSync, unlinkSync, watch } from 'node:fs';
import { createConnection, createServer, type Server, type Socket } from 'node:net';
import { dirname } from 'node:path';
import { setImmediate as turn } from 'node:timers/promises';
import { codedError } from '../base/coded-error.ts';
import { ERRNO } from '../config/errors.ts';
import type { DeviceConfig, DeviceStatus } from '../config/model.ts';
import { DEFAULT_UAPI_LIMITS, type UapiRequest, UapiRequestParser } from '../config/uapi.ts';
import { formatCountersResponse, formatErrno, getResponseChunks } from '../config/uapi-get.ts';
import type { Zones } from '../config/zones.ts';
import { systemErrno } from './system-errno.ts';

/** Where `wg` looks for it. */
export function uapiSocketPath(name: string): string {
  return `/var/run/wireguard/${name}.sock`;
}

export interface UapiDevice {
  /** @throws Error with a system `code` when something is refused; then nothing has changed */
  configure(config: DeviceConfig): void;
  status(): DeviceStatus;
  counters(): Record<string, number>;
}

export interface UapiServerOptions {
  readonly path: string;
  readonly device: UapiDevice;
  readonly zones: Zones;
  /** A request was refused: for the log. Never holds a secret. */
  readonly onRefused: (message: string) => void;
  /** The socket is no longer there. */
  readonly onUnlinked: () => void;
  /** A listening socket that was inherited (WG_UAPI_FD), instead of making one. */
  readonly fd?: number;
}

/** Connections at once; a client holds one for an instant. For one more, the one that has been silent for longest is ended. */
const MAX_CONNECTIONS = 64;
/** Characters of unfinished requests on all connections together; one alone may have as much (UapiLimits). */
const MAX_PENDING = DEFAULT_UAPI_LIMITS.requestLength;
/** Nobody sees an unlink while the watch is blind to it (an overlay, a remounted directory). */
const UNLINK_CHECK = 2_000;

export class UapiServer {
  readonly #options: UapiServerOptions;
  readonly #server: Server;
  /** In the order in which they last said something. */
  readonly #connections = new Map<Socket, UapiRequestParser>();
  #watcher: FSWatcher | undefined;
  #check: NodeJS.Timeout | undefined;
  #inode = 0;
  #lastBusy = Number.NEGATIVE_INFINITY;
  #closed = false;

  private constructor(options: UapiServerOptions) {
    this.#options = options;
    this.#server = createServer({ allowHalfOpen: true }, socket => this.#accept(socket));
  }

  /**
   * Makes the socket and listens.
   * @throws Error with `code`: EADDRINUSE when another program answers there, EACCES, ...
   */
  static async listen(options: UapiServerOptions): Promise<UapiServer> {
    const server = new UapiServer(options);
    if (options.fd === undefined) {
      mkdirSync(dirname(options.path), { recursive: true, mode: 0o755 });
      await removeStale(options.path);
    }
    await server.#listen();
    return server;
  }

  /** Milliseconds since a client said something or got a piece of an answer. */
  quietFor(): number {
    return performance.now() - this.#lastBusy;
  }

  /** Ends all connections and removes the socket, if it is still ours. Idempotent. */
  close(): void {
    if (this.#closed) return;
    this.#closed = true;
    clearInterval(this.#check);
    this.#watcher?.close();
    for (const socket of this.#connections.keys()) socket.destroy();
    // closing unlinks the path, whoever's socket it is by now
    if (this.#stillThere()) this.#server.close();
    else this.#server.unref();
  }

  #listen(): Promise<void> {
    const { path, fd } = this.#options;
    return new Promise((resolve, reject) => {
      this.#server.once('error', reject);
      // no instant at which others could connect
      const umask = process.umask(0o077);
      try {
        this.#server.listen(fd === undefined ? { path } : { fd }, () => {
          if (fd === undefined) chmodSync(path, 0o600);
          this.#inode = inodeOf(path);
          this.#watch();
          resolve();
        });
      } finally {
        process.umask(umask);
      }
    });
  }

  #watch(): void {
    const gone = () => {
      if (!this.#closed && !this.#stillThere()) this.#options.onUnlinked();
    };
    this.#check = setInterval(gone, UNLINK_CHECK);
    try {
      this.#watcher = watch(dirname(this.#options.path), gone);
      this.#watcher.on('error', () => this.#watcher?.close());
    } catch {
      // out of inotify watches; the interval sees it too
    }
  }

  #stillThere(): boolean {
    return inodeOf(this.#options.path) === this.#inode;
  }

  #accept(socket: Socket): void {
    if (this.#connections.size >= MAX_CONNECTIONS) {
      const [silent] = this.#connections.keys();
      if (silent) this.#connections.delete(silent);
      silent?.destroy();
    }
    const parser = new UapiRequestParser(this.#options.zones);
    this.#connections.set(socket, parser);
    socket.on('error', () => socket.destroy());
    socket.on('close', () => this.#connections.delete(socket));
    this.#serve(socket, parser).catch(() => socket.destroy());
  }

  /** Operations of one connection, strictly one after another. */
  async #serve(socket: Socket, parser: UapiRequestParser): Promise<void> {
    for await (const chunk of socket as AsyncIterable<Buffer>) {
      this.#lastBusy = performance.now();
      // now the last to have spoken
      if (this.#connections.delete(socket)) this.#connections.set(socket, parser);
      const requests = parser.push(chunk);
      if (this.#pending() > MAX_PENDING)
        requests.push(parser.giveUp(`more than ${MAX_PENDING} characters of unfinished requests at once`));
      for (const request of requests) {
        await this.#answer(socket, request);
        if (request.kind === 'invalid' && request.close) {
          // what still comes is read away, so that the client reads its errno and no reset
          socket.end();
          socket.resume();
          return;
        }
      }
      // a long request must not keep packets waiting
      await turn();
    }
    const broken = parser.end();
    if (broken) await this.#answer(socket, broken);
    socket.end();
  }

  #pending(): number {
    let sum = 0;
    for (const parser of this.#connections.values()) sum += parser.pending;
    return sum;
  }

  async #answer(socket: Socket, request: UapiRequest): Promise<void> {
    const { device, zones, onRefused } = this.#options;
    switch (request.kind) {
      case 'get':
        for (const chunk of getResponseChunks(device.status(), zones)) {
          await write(socket, chunk);
          this.#lastBusy = performance.now();
        }
        break;
      case 'counters':
        await write(socket, formatCountersResponse(device.counters()));
        break;
      case 'set':
        await write(socket, formatErrno(this.#configure(request.config)));
        break;
      case 'invalid':
        onRefused(request.error.message);
        await write(socket, formatErrno(request.error.errno));
        break;
    }
  }

  /** @returns 0 or a positive errno */
  #configure(config: DeviceConfig): number {
    try {
      this.#options.device.configure(config);
      return 0;
    } catch (error) {
      this.#options.onRefused((error as Error).message);
      return systemErrno(error) ?? ERRNO.EIO;
    }
  }
}

async function write(socket: Socket, text: string): Promise<void> {
  if (socket.destroyed || socket.write(text)) return;
  await new Promise<void>(resolve => {
    const done = () => {
      socket.off('drain', done);
      socket.off('close', done);
      resolve();
    };
    socket.on('drain', done);
    socket.on('close', done);
  });
}

function inodeOf(path: string): number {
  return statSync(path, { throwIfNoEntry: false })?.ino ?? 0;
}

/** Unlinks a socket that nobody answers. @throws EADDRINUSE if somebody does */
async function removeStale(path: string): Promise<void> {
  if (inodeOf(path) === 0) return;
  const answered = await new Promise<boolean>(resolve => {
    const probe = createConnection(path, () => {
      probe.destroy();
      resolve(true);
    });
    probe.on('error', () => resolve(false));
  });
  if (answered) throw codedError('EADDRINUSE', `${path}: another program is running this interface`);
  unlinkSync(path);
}
