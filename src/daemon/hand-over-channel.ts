/**
 * Messages of a hand-over over a socket: the length of the body (4 bytes, little endian), the kind
 * (1 byte), the body. Each kind has a limit. Bodies may hold keys, so they are read into memory
 * that the receiver erases, and never further than the current message.
 */
import { closeSync } from 'node:fs';
import { newSecret } from '../base/bytes.ts';
import type { RightsSocket } from '../io/rights.ts';

const KINDS = ['hello', 'offer', 'refusal', 'ready', 'state', 'received', 'erased', 'running'] as const;
/** The kind of a message. */
export type HandOverKind = (typeof KINDS)[number];

export interface HandOverMessage {
  readonly kind: HandOverKind;
  /** The receiver erases it. */
  readonly body: Uint8Array;
  /** Open descriptors, which the receiver owns. */
  readonly descriptors: readonly number[];
}

export interface HandOverEvents {
  readonly onMessage: (message: HandOverMessage) => void;
  /**
   * Called once, before onEnd: the other side sent nonsense, and no more messages can come. The
   * connection stays open, because its end says when the other side has died.
   */
  readonly onBroken: (problem: string) => void;
  /** Called once: the other side closed the connection or died, perhaps within a message. */
  readonly onEnd: () => void;
}

const HEADER_SIZE = 5;
const MOST_TEXT = 16_384;
/** A peer takes some 5 kB. */
const MOST_STATE = 1 << 30;
/** The most descriptors with one message. */
const MOST_DESCRIPTORS = 16;
/** Milliseconds that a reader may take for a message. */
const SEND_LIMIT_MS = 1000;
const NOTHING = new Uint8Array(0);
/** Room for what is read after nonsense, only to reach the end. */
const UNREAD_SIZE = 4096;

export class HandOverChannel {
  readonly #socket: RightsSocket;
  readonly #events: HandOverEvents;
  readonly #header = new Uint8Array(HEADER_SIZE);
  #body: Uint8Array | undefined;
  /** Bytes of the header or of the body that have arrived. */
  #filled = 0;
  #descriptors: number[] = [];
  #isBroken = false;
  #closed = false;

  /** Owns the socket from now on. */
  constructor(socket: RightsSocket, events: HandOverEvents) {
    this.#socket = socket;
    this.#events = events;
    socket.onReadable(() => this.#read());
  }

  get isClosed(): boolean {
    return this.#closed;
  }

  /**
   * Sends a message. Does nothing if the other side is gone: its end is an event of its own, after
   * what it has sent.
   * @throws Error with `code` if the other side does not read
   */
  send(kind: HandOverKind, body: Uint8Array = NOTHING, descriptors: readonly number[] = []): void {
    const message = newSecret(HEADER_SIZE + body.length);
    new DataView(message.buffer).setUint32(0, body.length, true);
    message[4] = KINDS.indexOf(kind);
    message.set(body, HEADER_SIZE);
    try {
      this.#socket.send(message, descriptors, SEND_LIMIT_MS);
    } catch (error) {
      if (!isGone(error)) throw error;
    } finally {
      message.fill(0);
    }
  }

  /** Sends facts that are not secret. */
  sendText(kind: HandOverKind, facts: object): void {
    this.send(kind, new TextEncoder().encode(JSON.stringify(facts)));
  }

  /** Idempotent. */
  close(): void {
    if (this.#closed) return;
    this.#closed = true;
    this.#socket.close();
    this.#dropMessage();
  }

  /**
   * Reads what is there, to the end of one message: the event loop calls again for the next. What a
   * handler throws passes through, because it must end the process: it says that the device may
   * have no owner, or two.
   */
  #read(): void {
    if (this.#closed) return;
    const next = this.#isBroken ? this.#skip() : this.#next();
    if (next === undefined) return;
    if (next === 'end') this.#end();
    else if ('kind' in next) this.#events.onMessage(next);
    else this.#break(next.problem);
  }

  /** Returns the next message, or why no more can come; undefined while it is incomplete. */
  #next(): HandOverMessage | { readonly problem: string } | 'end' | undefined {
    try {
      for (;;) {
        const target = this.#body ?? this.#header;
        if (this.#filled < target.length) {
          const count = this.#socket.receive(target.subarray(this.#filled), this.#descriptors);
          if (count < 0) return undefined;
          if (count === 0) return 'end';
          if (this.#descriptors.length > MOST_DESCRIPTORS) return { problem: 'too many descriptors' };
          this.#filled += count;
          if (this.#filled < target.length) continue;
        }
        if (this.#body) return this.#complete(this.#body);
        this.#body = this.#makeBody();
        this.#filled = 0;
      }
    } catch (error) {
      // the other process died before it read all that we had sent
      return isGone(error) ? 'end' : { problem: (error as Error).message };
    }
  }

  /** Makes room for the body that the header announces. @throws Error for a wrong header */
  #makeBody(): Uint8Array {
    const size = new DataView(this.#header.buffer).getUint32(0, true);
    const kind = KINDS[this.#header[4]!];
    if (kind === undefined) throw new Error(`a message of unknown kind ${this.#header[4]}`);
    const most = kind === 'state' ? MOST_STATE : MOST_TEXT;
    if (size > most) throw new Error(`a message ${kind} of ${size} bytes; at most ${most} are allowed`);
    return newSecret(size);
  }

  #complete(body: Uint8Array): HandOverMessage {
    const kind = KINDS[this.#header[4]!]!;
    const descriptors = this.#descriptors;
    this.#body = undefined;
    this.#filled = 0;
    this.#descriptors = [];
    return { kind, body, descriptors };
  }

  #break(problem: string): void {
    this.#isBroken = true;
    this.#dropMessage();
    this.#events.onBroken(problem);
  }

  /** Reads without a look at it. Any other error than a dead process leaves its end to come. */
  #skip(): 'end' | undefined {
    const unread = newSecret(UNREAD_SIZE);
    try {
      return this.#socket.receive(unread, this.#descriptors) === 0 ? 'end' : undefined;
    } catch (error) {
      return isGone(error) ? 'end' : undefined;
    } finally {
      unread.fill(0);
      this.#dropMessage();
    }
  }

  #dropMessage(): void {
    this.#body?.fill(0);
    for (const descriptor of this.#descriptors.splice(0)) closeSync(descriptor);
  }

  #end(): void {
    if (this.#closed) return;
    this.close();
    this.#events.onEnd();
  }
}

function isGone(error: unknown): boolean {
  const { code } = error as NodeJS.ErrnoException;
  return code === 'EPIPE' || code === 'ECONNRESET';
}

/** Reads facts out of a message. @returns an empty object for anything that is not an object */
export function factsOf({ body }: HandOverMessage): Readonly<Record<string, unknown>> {
  try {
    const value: unknown = JSON.parse(new TextDecoder().decode(body));
    return typeof value === 'object' && value !== null ? (value as Record<string, unknown>) : {};
  } catch {
    return {};
  }
}
