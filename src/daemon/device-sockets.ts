/**
 * The UDP sockets of a device over its lifetime. They are open while the interface is up, as in the
 * kernel and wireguard-go, and are reopened for another port. Port, mark and counters outlive the
 * sockets; counters only grow.
 */
import type { OpenUdp, Udp, Wake } from '../io/ports.ts';

export interface SocketEvents {
  /** Called when datagrams other than handshakes may be waiting. */
  readonly onReadable: Wake;
  readonly onHandshakes: () => void;
  readonly onRoutesChanged: () => void;
}

export class DeviceSockets {
  readonly #openUdp: OpenUdp;
  readonly #events: SocketEvents;
  #udp: Udp | undefined;
  #port = 0;
  #mark = 0;
  /** Undefined: as large as the adapter makes them. */
  #bufferBytes: number | undefined;
  #before: Record<string, number> = {};

  constructor(openUdp: OpenUdp, events: SocketEvents) {
    this.#openUdp = openUdp;
    this.#events = events;
  }

  /** Goes on with the sockets, settings and counters of another process. Reads nothing yet. */
  adopt(udp: Udp | undefined, port: number, mark: number, counters: Readonly<Record<string, number>>): void {
    this.#udp = udp;
    this.#port = port;
    this.#mark = mark;
    this.#before = { ...counters };
  }

  /**
   * The open sockets; undefined while the interface is down, or if its port could not be opened.
   */
  get udp(): Udp | undefined {
    return this.#udp;
  }

  /** The current or next port; 0 lets the system choose. */
  get port(): number {
    return this.#port;
  }

  get mark(): number {
    return this.#mark;
  }

  /**
   * Reports whether a configured port requires a new open(); 0 always does, while sockets are open.
   */
  wouldMove(port: number): boolean {
    return this.#udp !== undefined && (port === 0 || port !== this.#udp.port);
  }

  /**
   * Opens sockets, which replace open ones.
   * @throws Error with `code` (EADDRINUSE, EACCES, ...); then nothing has changed
   */
  open(port: number, mark: number): void {
    const opened = this.#openUdp(port, mark);
    this.close();
    if (this.#bufferBytes !== undefined) opened.setBuffers?.(this.#bufferBytes);
    this.#udp = opened;
    this.#port = opened.port;
    this.#mark = mark;
    this.read();
  }

  /** Begins to read the open sockets, also after pause(). */
  read(): void {
    const opened = this.#udp;
    const { onReadable, onHandshakes, onRoutesChanged } = this.#events;
    const still = () => this.#udp === opened;
    opened?.onReadable(waited => still() && onReadable(waited));
    opened?.onHandshakes(() => still() && onHandshakes());
    opened?.onRoutesChanged(() => still() && onRoutesChanged());
  }

  /** Stops reading. What arrives waits in the queues of the sockets. */
  pause(): void {
    this.#udp?.pause?.();
  }

  /**
   * Opens sockets for an instant, to find out whether open() works.
   * @throws Error with `code` if it would fail
   */
  attempt(port: number, mark: number): void {
    this.#openUdp(port, mark).close();
  }

  /** Limits the buffers of open sockets, and of later ones. */
  limitBuffers(bytes: number): void {
    this.#bufferBytes = bytes;
    this.#udp?.setBuffers?.(bytes);
  }

  /**
   * Sets port and mark for the next open(), and the mark of open sockets.
   * @returns true if the mark changed
   * @throws Error with `code` when the system refuses the mark
   */
  configure(port: number, mark: number): boolean {
    const isNewMark = mark !== this.#mark;
    if (isNewMark) {
      this.#udp?.setMark(mark);
      // routing depends on the mark
      this.#udp?.networkChanged?.();
    }
    this.#mark = mark;
    this.#port = this.#udp?.port ?? port;
    return isNewMark;
  }

  /** Idempotent. */
  close(): void {
    if (!this.#udp) return;
    this.#before = this.counters();
    this.#udp.close();
    this.#udp = undefined;
  }

  counters(): Record<string, number> {
    const sum = { ...this.#before };
    for (const [name, value] of Object.entries(this.#udp?.counters() ?? {})) sum[name] = (sum[name] ?? 0) + value;
    return sum;
  }
}
