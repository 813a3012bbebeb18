/**
 * Lanes as a port: threads that seal, open, send and write batches beside this one
 * (native/lanes.h). A device lends a batch and goes on with the next one. Three queues keep their
 * order: sealed (and sent), opened, written.
 */
import type { DatagramBatch, PacketBatch } from '../packet/batch.ts';
import type { Tun, Udp } from './ports.ts';

/** What came back since the last look: how many batches of each queue, and what went wrong. */
export interface LanesDone {
  sealed: number;
  opened: number;
  written: number;
  /** Datagrams that could not be sent. */
  sendErrors: number;
  /** Packets that the TUN did not take. */
  dropped: number;
  /** Seal jobs of batches that were not sent, because a result was not as predicted. */
  refused: number;
  /** Whether the TUN is gone. */
  gone: boolean;
}

/** Returns what is done before anything is. */
export const noneDone = (): LanesDone => ({
  sealed: 0,
  opened: 0,
  written: 0,
  sendErrors: 0,
  dropped: 0,
  refused: 0,
  gone: false,
});

/**
 * Threads that work on lent batches. All arrays of a lent batch must stay unchanged and alive until
 * done() has counted it.
 */
export interface Lanes {
  /** How many threads there may be, with this one. */
  readonly threads: number;
  /**
   * Lends jobs to seal from `input` into the slab of `output`, whose datagrams are then sent.
   * @param jobs with predicted results ({@link Outgoing})
   * @returns false if the queue is full
   */
  seal(udp: Udp | undefined, input: Uint8Array, jobs: Int32Array, count: number, output: DatagramBatch): boolean;
  /** Lends messages to open in place. @returns false if the queue is full */
  open(slab: Uint8Array, jobs: Int32Array, count: number): boolean;
  /** Lends packets to write. @returns false if the queue is full */
  write(tun: Tun, batch: PacketBatch): boolean;
  /** Does a part of the work in this thread. @returns false if there was nothing to take */
  help(): boolean;
  /** Returns what came back since the last call; the object is used again. */
  done(): LanesDone;
  /** Waits, and helps, until a batch comes back or no work is left. */
  next(): void;
  /**
   * Asks for a call of onOpened() when a batch was opened.
   * @returns false if none is being opened, or one has come back already
   */
  watch(): boolean;
  /** Calls back after watch(), until closed. */
  onOpened(callback: () => void): void;
  /** Writes processor times in milliseconds: of this thread, and of the others' work together. */
  times(out: Float64Array): void;
  /** Finishes all work and ends the threads. Idempotent. */
  close(): void;
}
