/**
 * Records of the kernel's log as they are written (/dev/kmsg,
 * Documentation/ABI/testing/dev-kmsg). Programs can write to that log too, but never records of
 * facility 0, which are the kernel's own.
 */
import { closeSync } from 'node:fs';
import { getSystemErrorName } from 'node:util';
import { nativeBinding } from './native-binding.ts';

const PATH = '/dev/kmsg';
/** The longest record (the kernel's PRINTK_MESSAGE_MAX), and some more. */
const RECORD_SIZE = 4096;
/**
 * The most records of one rest period. The network can make the kernel log, for example by a rule
 * of iptables, and must not keep this process busy by that.
 */
const BURST = 256;
const REST_MS = 100;
const [EINTR, EAGAIN, EPIPE] = [-4, -11, -32];

/** Where the records come from. */
export interface KernelLogSource {
  /** Calls back whenever there may be records. @returns the function that ends that */
  poll(callback: () => void): () => void;
  /** Reads one record. @returns its length, or an errno as a negative number */
  read(into: Buffer): number;
  close(): void;
}

export interface KernelLogEvents {
  /** A message of the kernel, without its prefix. */
  readonly onMessage: (text: string) => unknown;
  /** Called if messages were overwritten before they could be read. */
  readonly onLost: () => void;
  /** Called once if the log cannot be read any more. */
  readonly onEnd: (error: Error) => void;
}

/** A watch in progress. */
export interface KernelLog {
  /** Reads what is there now. The event loop may serve something else first. */
  check(): void;
  /** Idempotent. */
  close(): void;
}

/**
 * Listens until it is closed.
 * @throws Error with `code`: EPERM without CAP_SYSLOG on most machines, ENOENT in containers
 */
export function watchKernelLog(events: KernelLogEvents, source: KernelLogSource = systemLog()): KernelLog {
  const watch = new KernelLogWatch(events, source);
  watch.listen();
  return watch;
}

class KernelLogWatch implements KernelLog {
  readonly #events: KernelLogEvents;
  readonly #source: KernelLogSource;
  readonly #record = Buffer.alloc(RECORD_SIZE);
  #stopPoll = () => {};
  #rest: NodeJS.Timeout | undefined;
  #isClosed = false;

  constructor(events: KernelLogEvents, source: KernelLogSource) {
    this.#events = events;
    this.#source = source;
  }

  listen(): void {
    this.#rest = undefined;
    this.#stopPoll = this.#source.poll(() => this.check());
  }

  /** Idempotent. */
  close(): void {
    if (this.#isClosed) return;
    this.#isClosed = true;
    clearTimeout(this.#rest);
    this.#stopPoll();
    this.#source.close();
  }

  check(): void {
    if (this.#rest) return;
    for (let count = 0; count < BURST; count++) if (!this.#readOne()) return;
    // the last message may have ended the watch
    if (this.#isClosed) return;
    this.#stopPoll();
    this.#rest = setTimeout(() => this.listen(), REST_MS).unref();
  }

  /** Returns whether there may be more. */
  #readOne(): boolean {
    if (this.#isClosed) return false;
    const size = this.#source.read(this.#record);
    if (size === EAGAIN) return false;
    if (size === EPIPE) this.#events.onLost();
    if (size === EPIPE || size === EINTR) return true;
    if (size < 0) return this.#end(-size);
    const message = kernelMessage(this.#record.toString('latin1', 0, size));
    if (message !== undefined) this.#events.onMessage(message);
    return true;
  }

  #end(errno: number): false {
    this.close();
    this.#events.onEnd(new Error(`the kernel's log cannot be read: ${getSystemErrorName(-errno)}`));
    return false;
  }
}

/** @throws Error with `code` */
function systemLog(): KernelLogSource {
  const binding = nativeBinding();
  const descriptor = binding.kernelLogOpen(PATH);
  return {
    poll: callback => {
      const poll = binding.pollStart(descriptor, callback);
      return () => binding.pollStop(poll);
    },
    read: into => binding.kernelLogRead(descriptor, into),
    close: () => closeSync(descriptor),
  };
}

/** Returns the message of a record of the kernel itself. */
function kernelMessage(record: string): string | undefined {
  // priority (facility * 8 + level), sequence number, time and flags; then the message
  return /^[0-7],\d+,\d+,[^;]*;(.*)/.exec(record)?.[1];
}
