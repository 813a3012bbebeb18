/**
 * The control socket for `wg` and the clients of wireguard-go: /var/run/wireguard/NAME.sock, mode
 * 0600 in a directory of mode 0755 (wireguard-go ipc/uapi_linux.go; wireguard-tools
 * ipc-uapi-unix.h). A connection may carry any number of operations. The server replaces a socket
 * that no program answers, and fails if one does. When the socket is unlinked, the device ends.
 */

import { chmodSync, type FSWatcher, mkdirSync, statSync, unlinkSync, watch } from 'node:fs';
import { createConnection, createServer, type Server, type Socket } from 'node:net';
import { dirname } from 'node:path';
import { codedError } from '../base/coded-error.ts';
import type { Zones } from '../config/zones.ts';
import { UapiConnection, UapiShare } from './uapi-connection.ts';
import type { UapiDevice } from './uapi-socket.ts';

export interface UapiServerOptions {
  readonly path: string;
  readonly device: UapiDevice;
  readonly zones: Zones;
  /** Called when a request was refused, for the log. The message never holds a secret. */
  readonly onRefused: (message: string) => void;
  /** Called when the socket is no longer there. */
  readonly onUnlinked: () => void;
  /** An inherited listening socket (WG_UAPI_FD) to use instead of a new one. */
  readonly fd?: number;
}

/**
 * Limit of simultaneous connections; a client needs one only for an instant. One more ends the
 * connection that was silent longest.
 */
const MAX_CONNECTIONS = 64;
/** The period of checks for an unlink that the watch misses (an overlay, a remounted directory). */
const UNLINK_CHECK_MS = 2_000;

export class UapiServer {
  readonly #options: UapiServerOptions;
  readonly #server: Server;
  /** Connections in the order of their last activity. */
  readonly #connections = new Set<UapiConnection>();
  readonly #share = new UapiShare();
  #watcher: FSWatcher | undefined;
  #check: NodeJS.Timeout | undefined;
  #inode = 0;
  #lastBusy = Number.NEGATIVE_INFINITY;
  #closed = false;

  private constructor(options: UapiServerOptions) {
    this.#options = options;
    this.#server = createServer({ allowHalfOpen: true, pauseOnConnect: true }, socket => this.#accept(socket));
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

  /** Returns the milliseconds since a client sent data or received a piece of an answer. */
  quietFor(): number {
    return performance.now() - this.#lastBusy;
  }

  /** Ends all connections and removes the socket, if it is still ours. Idempotent. */
  close(): void {
    if (this.#closed) return;
    this.#closed = true;
    clearInterval(this.#check);
    this.#watcher?.close();
    for (const connection of this.#connections) connection.destroy();
    // closing unlinks the path, even if it is now another program's socket
    if (this.#isLinked()) this.#server.close();
    else this.#server.unref();
  }

  #listen(): Promise<void> {
    const { path, fd } = this.#options;
    return new Promise((resolve, reject) => {
      this.#server.once('error', reject);
      // other users must not be able to connect even for an instant
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
      if (!this.#closed && !this.#isLinked()) this.#options.onUnlinked();
    };
    this.#check = setInterval(gone, UNLINK_CHECK_MS);
    try {
      this.#watcher = watch(dirname(this.#options.path), gone);
      this.#watcher.on('error', () => this.#watcher?.close());
    } catch {
      // the limit of inotify watches is reached; the interval also detects an unlink
    }
  }

  #isLinked(): boolean {
    return inodeOf(this.#options.path) === this.#inode;
  }

  #accept(socket: Socket): void {
    if (this.#connections.size >= MAX_CONNECTIONS) {
      const [silent] = this.#connections;
      if (silent) this.#connections.delete(silent);
      silent?.destroy();
    }
    const { device, zones, onRefused } = this.#options;
    const onBusy = () => {
      this.#lastBusy = performance.now();
      // move it to the end: it was active most recently
      if (this.#connections.delete(connection)) this.#connections.add(connection);
    };
    const options = { device, zones, onRefused, onBusy };
    const connection = new UapiConnection(socket, this.#share, options, () => this.#connections.delete(connection));
    this.#connections.add(connection);
  }
}

function inodeOf(path: string): number {
  return statSync(path, { throwIfNoEntry: false })?.ino ?? 0;
}

/** Unlinks a socket that no program answers. @throws EADDRINUSE if one does */
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
