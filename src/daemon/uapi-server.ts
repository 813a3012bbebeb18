/**
 * The control socket for `wg` and the clients of wireguard-go: /var/run/wireguard/NAME.sock, mode
 * 0600 in a directory of mode 0755 (wireguard-go ipc/uapi_linux.go; wireguard-tools
 * ipc-uapi-unix.h). A connection may carry any number of operations. The server replaces a socket
 * that no program answers, and fails if one does. When the socket is unlinked, the device ends.
 */

import { closeSync, type FSWatcher, linkSync, mkdirSync, renameSync, statSync, watch } from 'node:fs';
import { createConnection, createServer, type Server, type Socket } from 'node:net';
import { dirname } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { codedError } from '../base/coded-error.ts';
import type { Zones } from '../config/zones.ts';
import { copyDescriptor, RightsListener, removeFile } from '../io/rights.ts';
import { UapiConnection } from './uapi-connection.ts';
import { UapiShare } from './uapi-share.ts';
import { handOverPath, type UapiDevice } from './uapi-socket.ts';

export interface UapiServerOptions {
  readonly path: string;
  readonly device: UapiDevice;
  readonly zones: Zones;
  /** Called when a request was refused, for the log. The message never holds a secret. */
  readonly onRefused: (message: string) => void;
  /** Called when the socket is no longer there. */
  readonly onUnlinked: () => void;
  /** A listening socket to use instead of a new one: inherited (WG_UAPI_FD), or taken over. */
  readonly fd?: number;
  /** Whether to remove the path of that socket at the end, as that of a new one. */
  readonly removes?: boolean;
  /** The inode at the path when that socket was taken over. Default: the inode there now. */
  readonly inode?: number;
}

/**
 * Limit of simultaneous connections; a client needs one only for an instant. One more ends the
 * connection that was silent longest.
 */
const MAX_CONNECTIONS = 64;
/** The period of checks for an unlink that the watch misses (an overlay, a remounted directory). */
const UNLINK_CHECK_MS = 2_000;
/** Connections that may wait until we accept them. */
const BACKLOG = 511;
const SETTLE_POLL_MS = 2;
/**
 * Milliseconds after a stale socket was replaced in which the new one may be removed by mistake: a
 * client that the old one refused (`wg` too) removes whatever is at the path then.
 */
const RACE_MS = 1000;
/** An inode that no file has. */
const REMOVED = -1;

export class UapiServer {
  readonly #options: UapiServerOptions;
  /** The descriptor that stays open while the server pauses. */
  #fd = -1;
  #listener: RightsListener | undefined;
  #server: Server | undefined;
  /** Connections in the order of their last activity. */
  readonly #connections = new Set<UapiConnection>();
  readonly #share = new UapiShare();
  #watcher: FSWatcher | undefined;
  #check: NodeJS.Timeout | undefined;
  #inode = 0;
  /** Until when a removal counts as that mistake, by performance.now(). */
  #racesUntil = 0;
  #lastBusy = Number.NEGATIVE_INFINITY;
  #closed = false;

  private constructor(options: UapiServerOptions) {
    this.#options = options;
  }

  /**
   * Makes the socket and listens.
   * @throws Error with `code`: EADDRINUSE when another program answers there, EACCES, ...
   */
  static async listen(options: UapiServerOptions): Promise<UapiServer> {
    const server = new UapiServer(options);
    if (options.fd === undefined) {
      mkdirSync(dirname(options.path), { recursive: true, mode: 0o755 });
      if (await removeStale(options.path)) server.#racesUntil = performance.now() + RACE_MS;
      server.#listener = listenAt(options.path);
    }
    // a socket that was already removed is missed from the beginning
    server.#inode = options.inode ?? (inodeOf(options.path) || (options.fd === undefined ? REMOVED : 0));
    server.#fd = server.#listener?.fd ?? options.fd!;
    try {
      await server.#serve();
    } catch (error) {
      if (server.#listener) server.close();
      throw error;
    }
    server.#watch();
    return server;
  }

  /** The listening socket, for another process. This server keeps owning it. */
  get given(): {
    readonly descriptor: number;
    readonly path: string;
    readonly inode: number;
    readonly removes: boolean;
  } {
    return { descriptor: this.#fd, path: this.#options.path, inode: this.#inode, removes: this.#removes };
  }

  /**
   * Waits until no request is in progress, at most for `limit` milliseconds. The device still
   * answers.
   */
  async settle(limit: number): Promise<void> {
    const end = performance.now() + limit;
    while (this.#share.isBusy && performance.now() < end) await sleep(SETTLE_POLL_MS);
  }

  /**
   * Stops accepting: new clients wait in the socket's queue, for resume() or another process. Also
   * stops reading: what a client sends now is answered after resume(), or ends with its connection.
   */
  pause(): void {
    for (const connection of this.#connections) connection.pause();
    // the socket was not bound by Node, so closing this copy of it removes no path
    this.#server?.close();
    this.#server = undefined;
  }

  /** Accepts again. */
  async resume(): Promise<void> {
    if (this.#closed) return;
    for (const connection of this.#connections) connection.resume();
    try {
      await this.#serve();
    } catch (error) {
      this.#server = undefined;
      throw error;
    }
  }

  /** Ends all connections, but leaves the socket to the process that has taken it over. */
  release(): void {
    this.#inode = 0;
    this.close();
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
    // the path may by now be another program's socket, or removed by what stops this process
    if (this.#removes && this.#inode !== 0 && this.#isLinked()) removeFile(this.#options.path);
    this.#server?.close();
    this.#listener?.close();
    if (!this.#listener) closeSync(this.#fd);
  }

  get #removes(): boolean {
    return this.#options.fd === undefined || this.#options.removes === true;
  }

  #serve(): Promise<void> {
    const server = createServer({ allowHalfOpen: true, pauseOnConnect: true }, socket => this.#accept(socket));
    this.#server = server;
    return new Promise((resolve, reject) => {
      server.once('error', reject);
      server.listen({ fd: copyDescriptor(this.#fd), backlog: BACKLOG }, resolve);
    });
  }

  #watch(): void {
    const gone = () => {
      if (this.#closed || this.#isLinked()) return;
      const hasLostRace = performance.now() < this.#racesUntil && inodeOf(this.#options.path) === 0;
      this.#racesUntil = 0;
      if (!hasLostRace || !this.#makeAgain()) this.#options.onUnlinked();
    };
    this.#check = setInterval(gone, UNLINK_CHECK_MS);
    try {
      this.#watcher = watch(dirname(this.#options.path), gone);
      this.#watcher.on('error', () => this.#watcher?.close());
    } catch {
      // the limit of inotify watches is reached; the interval also detects an unlink
    }
    gone();
  }

  /** @returns whether clients can connect again */
  #makeAgain(): boolean {
    const { path } = this.#options;
    try {
      const listener = listenAt(path);
      const isPaused = this.#server === undefined;
      this.#server?.close();
      this.#listener?.close();
      this.#listener = listener;
      [this.#fd, this.#inode] = [listener.fd, inodeOf(path)];
      if (!isPaused) this.#serve().catch(() => this.#options.onUnlinked());
      return true;
    } catch {
      return false;
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

/** Returns the inode at a path; 0 if nothing is there. */
export function inodeOf(path: string): number {
  return statSync(path, { throwIfNoEntry: false })?.ino ?? 0;
}

/**
 * Makes a socket that listens from the moment at which it appears: one that is bound and does not
 * listen yet refuses clients, and `wg` would remove it.
 * @throws EADDRINUSE if there is a file
 */
function listenAt(path: string): RightsListener {
  // a name of its own, so that of two processes that begin at once none links the other's socket
  const hidden = `${handOverPath(path)}.${process.pid}`;
  mkdirSync(dirname(hidden), { recursive: true, mode: 0o700 });
  removeFile(hidden);
  const listener = new RightsListener(hidden, BACKLOG);
  try {
    give(hidden, path);
    return listener;
  } catch (error) {
    listener.close();
    throw error;
  } finally {
    removeFile(hidden);
  }
}

/** Gives a file its path. @throws EADDRINUSE if there is one */
function give(hidden: string, path: string): void {
  try {
    linkSync(hidden, path);
  } catch (error) {
    const { code, message } = error as NodeJS.ErrnoException;
    // a file system without links, or a confined process: rename() would also replace a file
    if (code !== 'EEXIST' && inodeOf(path) === 0) renameSync(hidden, path);
    else throw codedError('EADDRINUSE', `${path}: ${message}`);
  }
}

/**
 * Unlinks a socket that no program answers.
 * @returns whether there was one
 * @throws EADDRINUSE if a program answers
 */
async function removeStale(path: string): Promise<boolean> {
  if (inodeOf(path) === 0) return false;
  const answered = await new Promise<boolean>(resolve => {
    const probe = createConnection(path, () => {
      probe.destroy();
      resolve(true);
    });
    probe.on('error', () => resolve(false));
  });
  if (answered) throw codedError('EADDRINUSE', `${path}: another program is running this interface`);
  // its process, or what stopped it, may have removed it since
  removeFile(path);
  return true;
}
