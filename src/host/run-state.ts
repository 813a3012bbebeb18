/**
 * /run/wireguard-ts: one state file per network namespace and interface that `wgts up` created, and
 * a lock, so that only one `up` or `down` of an interface runs at a time. The lock is the name of a
 * socket, which the kernel frees even if the process crashes.
 */
import { mkdirSync, readFileSync, readlinkSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { abstractName } from '../base/abstract-name.ts';
import { problem } from '../quick/problem.ts';
import { formatState, parseState, type QuickState } from '../quick/state.ts';

export const RUN_FOLDER = '/run/wireguard-ts';
const PAUSE_MS = 50;

/** @throws ConfigError for a file that cannot be read */
export function readState(name: string): QuickState | undefined {
  const path = statePath(name);
  let text: string;
  try {
    text = readFileSync(path, 'utf8');
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined;
    throw error;
  }
  return parseState(text, path);
}

export function writeState(state: QuickState): void {
  replace(statePath(state.name), formatState(state));
}

/**
 * Saves a configuration that could not be written to its own file. No other file in this folder
 * contains secrets.
 * @returns the path of the saved file
 */
export function rescueFile(name: string, text: string): string {
  const path = statePath(name).replace(/json$/, 'conf');
  replace(path, text);
  return path;
}

export function removeState(name: string): void {
  rmSync(statePath(name), { force: true });
}

export function statePath(name: string): string {
  const namespace = /[0-9]+/.exec(readlinkSync('/proc/self/ns/net'))?.[0] ?? '0';
  return join(RUN_FOLDER, `${name}.${namespace}.json`);
}

/**
 * Runs an action while no other process works on the interface.
 * @param patience milliseconds to wait for another process
 * @throws Error with `code` EBUSY if another process holds the lock; what the action throws
 */
export async function withLock<T>(name: string, action: () => Promise<T>, patience = 0): Promise<T> {
  const release = await lock(name, patience);
  try {
    return await action();
  } finally {
    release();
  }
}

async function lock(name: string, patience: number): Promise<() => void> {
  for (const end = performance.now() + patience; ; await sleep(PAUSE_MS))
    try {
      return await tryLock(name);
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'EBUSY' || performance.now() >= end) throw error;
    }
}

function tryLock(name: string): Promise<() => void> {
  return new Promise((resolve, reject) => {
    const server = createServer(socket => socket.destroy());
    server.once('error', (error: NodeJS.ErrnoException) =>
      reject(error.code === 'EADDRINUSE' ? problem('EBUSY', `another wgts is at work on ${name}`) : error),
    );
    server.listen(abstractName(`wireguard-ts/${name}`), () => {
      server.unref();
      resolve(() => void server.close());
    });
  });
}

/** Replaces a file. The old content stays until the new file is complete. */
function replace(path: string, text: string): void {
  mkdirSync(RUN_FOLDER, { recursive: true, mode: 0o755 });
  const draft = `${path}.new`;
  rmSync(draft, { force: true });
  try {
    writeFileSync(draft, text, { mode: 0o600 });
    renameSync(draft, path);
  } catch (error) {
    rmSync(draft, { force: true });
    throw error;
  }
}
