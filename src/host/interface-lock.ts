/**
 * The lock of an interface: only one `up` or `down` of it runs at a time. It is the name of a
 * socket, which the kernel frees even if the process crashes, and which containers with the host's
 * network share. All versions use this name.
 *
 * Any user may take such a name. A name that belongs to a user whom we need not trust therefore
 * counts for nothing: the lock is then that of a file that only its owner can open (flock). The
 * file is made the first time that this happens, and stays. A process that gets the name also needs
 * the lock of the file, if it is there. A process that has only the file looks at the name again.
 * Older versions know the name alone, and report EBUSY beside a stranger as before.
 */
import { closeSync, constants, mkdirSync, openSync } from 'node:fs';
import { createServer } from 'node:net';
import { dirname } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { AGENT_LOCK, abstractName } from '../base/abstract-name.ts';
import { encodeText } from '../base/utf8.ts';
import { isTrusted } from '../daemon/device-owner.ts';
import { systemNetlink } from '../io/netlink.ts';
import type { PeerCredentials } from '../io/rights.ts';
import { lockFile } from '../io/system.ts';
import { unixSocketOwner } from '../netlink/unix-diag.ts';
import { problem } from '../quick/problem.ts';
import { nameHolder } from './name-holder.ts';
import { runPath } from './run-state.ts';

export interface LockOptions {
  /** Milliseconds to wait for another process. */
  readonly patience?: number;
  /** Returns the user who owns a name; undefined if that is unknown, or if it is free. */
  readonly ownerOf?: (address: string) => Promise<number | undefined>;
}

const PAUSE_MS = 50;
const { O_RDWR, O_CREAT, O_NOFOLLOW } = constants;

/**
 * Runs an action while no other process works on the interface.
 * @throws Error with `code` EBUSY if another process holds the lock; what the action throws
 */
export async function withLock<T>(name: string, action: () => Promise<T>, options: LockOptions = {}): Promise<T> {
  const release = await lock(name, options);
  try {
    return await action();
  } finally {
    release();
  }
}

async function lock(name: string, { patience = 0, ownerOf = kernelOwnerOf }: LockOptions): Promise<() => void> {
  for (const end = performance.now() + patience; ; await sleep(PAUSE_MS))
    try {
      return await tryLock(name, ownerOf);
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'EBUSY' || performance.now() >= end) throw error;
    }
}

async function tryLock(name: string, ownerOf: NonNullable<LockOptions['ownerOf']>): Promise<() => void> {
  const address = addressOf(name);
  let freeName = await takeName(address);
  const isStrange = !freeName && (await belongsToStranger(address, ownerOf));
  if (!freeName && !isStrange) throw await busy(name, address);
  let file: number | undefined;
  try {
    file = await openLock(name, isStrange);
    if (file !== undefined && !lockFile(file)) throw problem('EBUSY', `another wgts is at work on ${name}`);
    // another process may have got the name before the file was there for it to see
    if (!freeName) freeName = await takeName(address);
    if (!freeName && !(await belongsToStranger(address, ownerOf))) throw await busy(name, address);
  } catch (error) {
    if (file !== undefined) closeSync(file);
    freeName?.();
    throw error;
  }
  return () => {
    if (file !== undefined) closeSync(file);
    freeName?.();
  };
}

/** @returns the function that frees the name; undefined if another process has it */
function takeName(address: string): Promise<(() => void) | undefined> {
  return new Promise((resolve, reject) => {
    const server = createServer(socket => socket.destroy());
    server.once('error', (error: NodeJS.ErrnoException) =>
      error.code === 'EADDRINUSE' ? resolve(undefined) : reject(error),
    );
    server.listen(address, () => {
      server.unref();
      resolve(() => void server.close());
    });
  });
}

/** @returns undefined if no file was ever needed, and none is made */
async function openLock(name: string, isNeeded: boolean): Promise<number | undefined> {
  const path = runPath(name, 'lock');
  try {
    if (isNeeded) mkdirSync(dirname(path), { recursive: true, mode: 0o755 });
    return openSync(path, O_RDWR | O_NOFOLLOW | (isNeeded ? O_CREAT : 0), 0o600);
  } catch (error) {
    const { code, message } = error as NodeJS.ErrnoException;
    if (!isNeeded && (code === 'ENOENT' || code === 'EACCES')) return undefined;
    if (!isNeeded) throw error;
    const who = describe(await nameHolder(addressOf(name)));
    throw problem(
      'EBUSY',
      `another user has taken the name of the lock of ${name}${who}: end that process, or let this one use a file instead (${message})`,
    );
  }
}

async function belongsToStranger(address: string, ownerOf: NonNullable<LockOptions['ownerOf']>): Promise<boolean> {
  const user = await ownerOf(address);
  return user !== undefined && !isTrusted(user);
}

/** Asks the socket if it accepts connections, otherwise the kernel's list. */
async function kernelOwnerOf(address: string): Promise<number | undefined> {
  const holder = await nameHolder(address);
  if (holder) return holder.uid;
  try {
    return (await unixSocketOwner(systemNetlink, encodeText(address)))?.user;
  } catch {
    // a kernel without that list
    return undefined;
  }
}

async function busy(name: string, address: string): Promise<Error> {
  return problem('EBUSY', `another wgts is at work on ${name}${describe(await nameHolder(address))}`);
}

function describe(holder: PeerCredentials | undefined): string {
  if (!holder) return '';
  const { pid, uid } = holder;
  const user = isTrusted(uid) ? '' : ` of user ${uid}`;
  return pid > 0 ? ` (process ${pid}${user})` : ` (a process in another container${user})`;
}

function addressOf(name: string): string {
  const usual = `wireguard-ts/${name}`;
  return abstractName(usual === AGENT_LOCK ? `wireguard-ts/interface/${name}` : usual);
}
