/**
 * Divides a memory limit, and shrinks the shares while the limit is near: a packet that is dropped
 * comes again, a process that the kernel kills takes the tunnel with it.
 */
import { totalmem } from 'node:os';
import { collectSoon } from '../crypto/node/collect.ts';
import type { Log } from './log.ts';
import type { MemoryLimit } from './memory-limit.ts';

/** How much memory the parts of a device may hold, in bytes. */
export interface MemoryShares {
  /** All packets together that wait for sessions. */
  readonly staged: number;
  /** Each UDP socket in each direction. */
  readonly socket: number;
}

const MIB = 1 << 20;
/** At most; the socket's is that of native/udp.c. */
const MOST: MemoryShares = { staged: 256 * MIB, socket: 7 * MIB };
/** The smallest shares, so that every packet fits. */
const LEAST: MemoryShares = { staged: MIB, socket: 256 << 10 };
/**
 * Parts of the limit. There are four sockets with two directions, and the kernel counts twice what
 * was asked for: all of them together may hold a quarter of the limit.
 */
const STAGED_PART = 8;
const SOCKET_PART = 64;

/** How often the use is read, and from which part of the limit on the shares shrink or grow. */
const LOOK_MS = 5_000;
const NEAR = 0.9;
const FAR = 0.75;
/** The shares shrink to half, at most this often in a row. */
const MOST_HALVINGS = 6;

/** Returns the shares of a limit; without one, those of the machine's memory. */
export function sharesOf(limit = totalmem(), halvings = 0): MemoryShares {
  const share = (name: keyof MemoryShares, part: number) => {
    const most = Math.min(MOST[name], Math.floor(limit / part));
    return Math.max(LEAST[name], Math.floor(most / 2 ** halvings));
  };
  return { staged: share('staged', STAGED_PART), socket: share('socket', SOCKET_PART) };
}

export interface MemoryWatchOptions {
  readonly device: { limitMemory(shares: MemoryShares): void };
  /** Undefined: the machine's memory counts, and its use is not watched. */
  readonly limit: MemoryLimit | undefined;
  readonly log: Log;
  /** Calls back again and again. @returns the function that stops it */
  readonly every?: (milliseconds: number, action: () => void) => () => void;
}

/**
 * Gives a device its shares of a limit, and watches the use from then on.
 * @returns the function that ends it
 */
export function watchMemory({ device, limit, log, every = interval }: MemoryWatchOptions): () => void {
  device.limitMemory(sharesOf(limit?.bytes));
  if (!limit) return () => {};
  let halvings = 0;
  log.verbose(`memory limit ${mebibytes(limit.bytes)} (${limit.group}): ${describe(sharesOf(limit.bytes))}`);
  return every(LOOK_MS, () => {
    const used = limit.used();
    if (used === undefined) return;
    const before = halvings;
    if (used >= NEAR * limit.bytes && halvings < MOST_HALVINGS) halvings++;
    else if (used < FAR * limit.bytes && halvings > 0) halvings--;
    if (halvings > before) collectSoon();
    if (halvings === before) return;
    const shares = sharesOf(limit.bytes, halvings);
    device.limitMemory(shares);
    const text = `uses ${mebibytes(used)} of ${mebibytes(limit.bytes)} memory: ${describe(shares)}`;
    if (before === 0) log.error(text);
    else log.verbose(text);
  });
}

function describe({ staged, socket }: MemoryShares): string {
  return `packets without a session may hold ${mebibytes(staged)}, each socket ${mebibytes(socket)}`;
}

function mebibytes(bytes: number): string {
  return `${(bytes / MIB).toFixed(bytes < 10 * MIB ? 1 : 0)} MiB`;
}

function interval(milliseconds: number, action: () => void): () => void {
  const timer = setInterval(action, milliseconds).unref();
  return () => clearInterval(timer);
}
