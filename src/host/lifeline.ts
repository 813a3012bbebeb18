/**
 * Notices the death of a userspace device at once: holds a connection to its control socket, which
 * ends with the process. (The kernel reports the lost carrier too, but up to a second later.) The
 * device may end the connection for other reasons: then a new connection succeeds, also when
 * another process took the device over.
 */
import { connect, type Socket } from 'node:net';
import { uapiSocketPath } from '../daemon/uapi-socket.ts';

/** Pause before another connection to a device that ended the last one. */
const RECONNECT_PAUSE_MS = 200;

export class Lifeline {
  readonly #path: string;
  readonly #onDead: () => void;
  #socket: Socket | undefined;
  #pause: NodeJS.Timeout | undefined;
  #isClosed = false;

  /**
   * Connects. A device without a control socket, such as the kernel's, is not watched.
   * @param onDead is called once, when no process answers any more
   */
  constructor(name: string, onDead: () => void) {
    this.#path = uapiSocketPath(name);
    this.#onDead = onDead;
    this.#connect(false);
  }

  /** Idempotent. */
  close(): void {
    this.#isClosed = true;
    clearTimeout(this.#pause);
    this.#socket?.destroy();
  }

  #connect(wasConnected: boolean): void {
    let isConnected = false;
    const socket = connect(this.#path);
    this.#socket = socket;
    socket.on('connect', () => {
      isConnected = true;
    });
    // 'close' follows each error.
    socket.on('error', () => {});
    socket.on('end', () => socket.destroy());
    socket.on('close', () => {
      if (this.#isClosed) return;
      if (isConnected) this.#reconnect();
      else if (wasConnected) this.#onDead();
    });
    socket.resume();
  }

  /** Tries at once, because the process may be dead; if it is not, does not try too often. */
  #reconnect(): void {
    const probe = connect(this.#path);
    this.#socket = probe;
    probe.on('connect', () => {
      probe.destroy();
      this.#pause = setTimeout(() => this.#connect(true), RECONNECT_PAUSE_MS);
    });
    probe.on('error', () => {
      if (!this.#isClosed) this.#onDead();
    });
  }
}
