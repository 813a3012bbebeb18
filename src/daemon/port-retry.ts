/**
 * Opens the sockets of an interface that came up, and retries each second while its port is in use.
 * Until then the interface is up but receives nothing. (An interface of the kernel would stay
 * down.) Logs the reason once, with the port's holder, and later the success.
 */

import { portHolder } from '../io/port-holder.ts';
import type { DeviceSockets } from './device-sockets.ts';
import type { Log } from './log.ts';

export interface PortRetryOptions {
  readonly sockets: DeviceSockets;
  readonly log: Log;
  readonly now: () => number;
  /** Called when it is time to call open() again. */
  readonly onDue: () => void;
}

const RETRY_MS = 1000;

export class PortRetry {
  readonly #options: PortRetryOptions;
  #reason: string | undefined;
  #nextAt = 0;
  #timer: NodeJS.Timeout | undefined;

  constructor(options: PortRetryOptions) {
    this.#options = options;
  }

  /** Whether a second has passed since the last failure. */
  get isDue(): boolean {
    return this.#options.now() >= this.#nextAt;
  }

  /** Opens the sockets. @returns false if the system refused, which schedules a retry */
  open(): boolean {
    const { sockets, log } = this.#options;
    const { port, mark } = sockets;
    try {
      if (!sockets.udp) sockets.open(port, mark);
    } catch (error) {
      const reason = (error as Error).message;
      if (reason !== this.#reason) log.error(describe(error, port));
      this.#reason = reason;
      this.#nextAt = this.#options.now() + RETRY_MS;
      this.#arm();
      return false;
    }
    clearTimeout(this.#timer);
    if (this.#reason !== undefined) (log.notice ?? log.error)(`UDP port ${sockets.port} is open now`);
    this.#reason = undefined;
    return true;
  }

  /** Makes the next attempt due at once, because port or mark changed. */
  reset(): void {
    this.#nextAt = 0;
  }

  /** Stops the retries. Idempotent. */
  close(): void {
    clearTimeout(this.#timer);
  }

  #arm(): void {
    clearTimeout(this.#timer);
    this.#timer = setTimeout(() => {
      if (this.#options.sockets.udp) return;
      if (this.isDue) this.#options.onDue();
      else this.#arm();
    }, RETRY_MS);
  }
}

function describe(error: unknown, port: number): string {
  const { code, message } = error as NodeJS.ErrnoException;
  const holder = code === 'EADDRINUSE' ? portHolder(port) : undefined;
  return `cannot open UDP port ${port}: ${message}${holder === undefined ? '' : `, by ${holder}`}; trying again every second`;
}
