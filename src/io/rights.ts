/**
 * UNIX sockets that carry open descriptors (native/rights.c), for the hand-over of a device from
 * one process to another. Node passes descriptors only to its own children.
 */
import { closeSync, readSync, unlinkSync } from 'node:fs';
import type { Socket } from 'node:net';
import { type NativeBinding, nativeBinding, type PollHandle, type RightsHandle } from './native-binding.ts';

/** The most descriptors of one message (native/rights.c). */
const MOST_DESCRIPTORS = 16;
const BACKLOG = 8;
/** Milliseconds without new connections after one that could not be accepted. */
const REST_MS = 1000;

/** Who is at the other end of a socket. */
export interface PeerCredentials {
  readonly pid: number;
  readonly uid: number;
}

/**
 * Returns who is at the other end of a UNIX socket.
 * @param fd its descriptor
 * @throws Error with `code`
 */
function peerCredentials(fd: number): PeerCredentials {
  return nativeBinding().rightsPeer(fd);
}

/** Returns who is at the other end of a socket of Node; undefined if it has ended. */
export function socketPeer(socket: Socket): PeerCredentials | undefined {
  const { _handle: handle } = socket as unknown as { readonly _handle?: { readonly fd: number } | null };
  try {
    return handle ? peerCredentials(handle.fd) : undefined;
  } catch {
    return undefined;
  }
}

/** Returns another descriptor of the same open file, which the caller owns. */
export function copyDescriptor(fd: number): number {
  return nativeBinding().rightsCopy(fd);
}

/** One end of a connection. */
export class RightsSocket {
  readonly peer: PeerCredentials;
  readonly #binding: NativeBinding;
  readonly #handle: RightsHandle;
  readonly #descriptors = new Int32Array(MOST_DESCRIPTORS);
  #poll: PollHandle | undefined;

  /** Connects. @throws Error with `code`: ENOENT, ECONNREFUSED, EACCES, EAGAIN if too many wait */
  static connect(path: string, binding = nativeBinding()): RightsSocket {
    return new RightsSocket(binding, binding.rightsConnect(path));
  }

  constructor(binding: NativeBinding, handle: RightsHandle) {
    this.#binding = binding;
    this.#handle = handle;
    this.peer = binding.rightsPeer(binding.rightsFd(handle));
  }

  /** Calls back whenever there may be something to read, or the end, until closed. */
  onReadable(callback: () => void): void {
    this.#poll = this.#binding.pollStart(this.#binding.rightsFd(this.#handle), callback);
  }

  /**
   * Sends bytes, and copies of descriptors with the first one. Waits at most `limit` milliseconds
   * for the reader.
   * @throws Error with `code`: EPIPE, ETIMEDOUT, ...
   */
  send(bytes: Uint8Array, descriptors: readonly number[], limit: number): void {
    this.#binding.rightsSend(this.#handle, bytes, Int32Array.from(descriptors), limit);
  }

  /**
   * Reads into `bytes`. The caller owns the descriptors that came, which are added to
   * `descriptors`.
   * @returns the number of bytes; 0 at the end; -1 if nothing waits
   * @throws Error with `code`: ECONNRESET; EMSGSIZE if there were too many descriptors
   */
  receive(bytes: Uint8Array, descriptors: number[]): number {
    const count = this.#binding.rightsReceive(this.#handle, bytes, this.#descriptors);
    for (const descriptor of this.#descriptors) if (descriptor >= 0) descriptors.push(descriptor);
    return count;
  }

  /** Idempotent. */
  close(): void {
    if (this.#poll) this.#binding.pollStop(this.#poll);
    this.#poll = undefined;
    this.#binding.rightsClose(this.#handle);
  }
}

/** A listening socket that only its owner can connect to. */
export class RightsListener {
  readonly #binding: NativeBinding;
  readonly #handle: RightsHandle;
  #poll: PollHandle | undefined;
  #rest: NodeJS.Timeout | undefined;

  /** Makes the socket. @throws Error with `code`: EADDRINUSE if the path exists, EACCES, ... */
  constructor(path: string, backlog = BACKLOG, binding = nativeBinding()) {
    this.#binding = binding;
    this.#handle = binding.rightsListen(path, backlog);
  }

  /** The descriptor, which the listener owns; -1 once closed. */
  get fd(): number {
    return this.#binding.rightsFd(this.#handle);
  }

  /**
   * Calls back for each connection, which the callback then owns. If one cannot be accepted, for
   * example for lack of descriptors, rests for a second: the poll is level triggered.
   * @param onProblem called for the first failure of several in a row
   */
  onConnection(callback: (socket: RightsSocket) => void, onProblem: (error: Error) => void): void {
    let isFailing = false;
    const attempt = (work: () => void) => {
      try {
        work();
      } catch (error) {
        this.#stopPoll();
        if (!isFailing) onProblem(error as Error);
        isFailing = true;
        if (this.fd >= 0) this.#rest = setTimeout(attempt, REST_MS, start).unref();
      }
    };
    const accept = () => {
      this.#accept(callback);
      isFailing = false;
    };
    const start = () => {
      this.#poll = this.#binding.pollStart(this.fd, () => attempt(accept));
    };
    start();
  }

  /** Closes the socket; the path stays. Idempotent. */
  close(): void {
    this.#stopPoll();
    clearTimeout(this.#rest);
    this.#binding.rightsClose(this.#handle);
  }

  #accept(callback: (socket: RightsSocket) => void): void {
    const handle = this.#binding.rightsAccept(this.#handle);
    if (!handle) return;
    let socket: RightsSocket | undefined;
    try {
      socket = new RightsSocket(this.#binding, handle);
      callback(socket);
    } catch (error) {
      if (socket) socket.close();
      else this.#binding.rightsClose(handle);
      throw error;
    }
  }

  #stopPoll(): void {
    if (this.#poll) this.#binding.pollStop(this.#poll);
    this.#poll = undefined;
  }
}

/**
 * A token of which several processes have a copy, and that only one can claim. The kernel keeps it,
 * even if a process dies.
 */
export class RunToken {
  readonly descriptor: number;

  /**
   * Makes a token, or adopts one from another process.
   * @param descriptor the descriptor of a received token, which is then owned
   */
  constructor(descriptor: number = nativeBinding().rightsToken()) {
    this.descriptor = descriptor;
  }

  /** Claims the token. @returns false if another process was first */
  claim(): boolean {
    try {
      return readSync(this.descriptor, new Uint8Array(1)) === 1;
    } catch {
      return false;
    }
  }

  /** Call once. */
  close(): void {
    closeSync(this.descriptor);
  }
}

/** Removes a file if it is there. */
export function removeFile(path: string): void {
  try {
    unlinkSync(path);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ENOENT') throw error;
  }
}
