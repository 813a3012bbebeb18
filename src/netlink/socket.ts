/**
 * Requests and answers over a channel. Numbers requests, matches answers to them, turns refusals
 * into NetlinkError, and joins the parts of a dump. Repeats a dump whose objects changed while it
 * was read (NLM_F_DUMP_INTR).
 *
 * The kernel processes requests in the order of the calls. Several requests may be pending, but
 * only one dump, since the kernel refuses a second dump with EBUSY. MAX_PENDING limits the answers
 * to what the receive buffer can hold.
 */
import { errnoOf } from './errno.ts';
import { NetlinkError } from './errors.ts';
import { decodeMessages, decodeVerdict, encodeMessage, FLAG, MESSAGE, type NetlinkMessage } from './message.ts';
import type { NetlinkChannel, NetlinkPort } from './port.ts';

const MAX_PENDING = 64;
const DUMP_ATTEMPTS = 20;

interface Request {
  /** The operation, for error messages: `adding address 10.0.0.1/24 to wg0`. */
  readonly attempted: string;
  readonly type: number;
  readonly flags: number;
  readonly body: Uint8Array;
  readonly dump: boolean;
  readonly resolve: (answers: NetlinkMessage[]) => void;
  readonly reject: (error: unknown) => void;
  answers: NetlinkMessage[];
  interrupted: boolean;
  attempts: number;
}

export class NetlinkSocket {
  readonly #channel: NetlinkChannel;
  readonly #waiting: Request[] = [];
  readonly #pending = new Map<number, Request>();
  #sequence = 0;
  #closed: Error | undefined;

  /** @throws NetlinkError if the socket cannot be opened */
  constructor(port: NetlinkPort, protocol: number) {
    this.#channel = attempt('opening a netlink socket', () =>
      port.open(protocol, [], {
        datagram: bytes => this.#datagram(bytes),
        lost: () => this.#lost(),
        failed: error => this.#end(error),
      }),
    );
  }

  /**
   * Sends a request that changes or reads one object.
   * @returns the answers, without the acknowledgement
   * @throws NetlinkError (a rejection)
   */
  request(attempted: string, type: number, flags: number, body: Uint8Array): Promise<NetlinkMessage[]> {
    return this.#enqueue(attempted, type, flags | FLAG.ack, body, false);
  }

  /** Reads all objects of a kind. */
  dump(attempted: string, type: number, body: Uint8Array): Promise<NetlinkMessage[]> {
    return this.#enqueue(attempted, type, FLAG.dump, body, true);
  }

  /** Closes the socket and rejects pending requests. Idempotent. */
  close(): void {
    this.#end(new Error('the netlink socket was closed'));
  }

  #enqueue(attempted: string, type: number, flags: number, body: Uint8Array, dump: boolean): Promise<NetlinkMessage[]> {
    return new Promise((resolve, reject) => {
      const state = { answers: [], interrupted: false, attempts: 0 };
      this.#waiting.push({ attempted, type, flags: flags | FLAG.request, body, dump, resolve, reject, ...state });
      this.#sendNext();
    });
  }

  #sendNext(): void {
    for (;;) {
      const request = this.#waiting[0];
      if (!request) return;
      if (!this.#closed && !this.#maySend(request)) return;
      this.#waiting.shift();
      if (this.#closed) request.reject(ended(request, this.#closed));
      else this.#send(request);
    }
  }

  #maySend(request: Request): boolean {
    if (this.#pending.size >= MAX_PENDING) return false;
    return !request.dump || [...this.#pending.values()].every(other => !other.dump);
  }

  #send(request: Request): void {
    const { attempted, type, flags, body } = request;
    const sequence = this.#takeSequence();
    request.answers = [];
    request.interrupted = false;
    request.attempts++;
    this.#pending.set(sequence, request);
    const message = encodeMessage({ type, flags, sequence, port: 0, body });
    try {
      attempt(attempted, () => this.#channel.send(message));
    } catch (error) {
      this.#pending.delete(sequence);
      request.reject(error);
    } finally {
      // the message may contain a key
      message.fill(0);
    }
  }

  #takeSequence(): number {
    do this.#sequence = (this.#sequence + 1) >>> 0;
    while (this.#sequence === 0 || this.#pending.has(this.#sequence));
    return this.#sequence;
  }

  #datagram(bytes: Uint8Array): void {
    try {
      for (const message of decodeMessages(bytes)) this.#message(message);
    } catch (error) {
      this.#end(error as Error);
    }
    this.#sendNext();
  }

  #message(message: NetlinkMessage): void {
    const request = this.#pending.get(message.sequence);
    if (!request || message.type === MESSAGE.noop) return;
    if (message.flags & FLAG.dumpInterrupted && request.dump) request.interrupted = true;
    if (message.type === MESSAGE.error || message.type === MESSAGE.done) this.#verdict(request, message);
    else if (message.type === MESSAGE.overrun) request.interrupted = true;
    else request.answers.push(message);
  }

  #verdict(request: Request, message: NetlinkMessage): void {
    const { errno, ...refusal } = decodeVerdict(message);
    // some kernels acknowledge the request for a dump before the dump itself
    if (request.dump && message.type === MESSAGE.error && errno === 0) return;
    this.#pending.delete(message.sequence);
    if (errno !== 0) request.reject(new NetlinkError(request.attempted, errno, refusal));
    else if (!request.interrupted) request.resolve(request.answers);
    else if (request.attempts < DUMP_ATTEMPTS) this.#waiting.unshift(request);
    else {
      const detail = `the objects changed during each of ${request.attempts} attempts to read them`;
      request.reject(new NetlinkError(request.attempted, errnoOf('EINTR')!, { detail }));
    }
  }

  /**
   * Handles a full receive buffer. The kernel delays the parts of a dump until there is room, but
   * it may have dropped an acknowledgement. The outcome of pending requests is therefore unknown,
   * so they are rejected.
   */
  #lost(): void {
    const detail = "the receive buffer had no room for the kernel's answer; the change may or may not have been made";
    for (const [sequence, request] of this.#pending) {
      request.interrupted = true;
      if (request.dump) continue;
      this.#pending.delete(sequence);
      request.reject(new NetlinkError(request.attempted, errnoOf('ENOBUFS')!, { detail }));
    }
    this.#sendNext();
  }

  #end(why: Error): void {
    if (this.#closed) return;
    this.#closed = why;
    this.#channel.close();
    const pending = [...this.#pending.values()];
    this.#pending.clear();
    for (const request of pending) request.reject(ended(request, why));
    this.#sendNext();
  }
}

/**
 * Runs an action and turns a system error into a NetlinkError that names the attempted operation.
 */
export function attempt<T>(attempted: string, action: () => T): T {
  try {
    return action();
  } catch (error) {
    const { errno, message } = error as { errno?: unknown; message?: string };
    throw typeof errno === 'number' ? new NetlinkError(attempted, Math.abs(errno), { detail: message }) : error;
  }
}

function ended({ attempted }: Request, why: Error): Error {
  return new Error(`${attempted}: ${why.message}`, { cause: why });
}
