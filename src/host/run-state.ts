/**
 * /run/wireguard-ts: a file for each interface that `wgts up` made, of this network namespace (the same name may be in another), and a lock, so
 * that one `up` or `down` of an interface is at work at a time. The lock is a name that goes with the process, however that ends.
 */
import { mkdirSync, readFileSync, readlinkSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
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

/** A configuration that could not be saved in its place: the only thing here with secrets. @returns where it is */
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
 * @param patience milliseconds for which another process may have it
 * @returns the function that lets go. @throws Error with `code` EBUSY if another process has it
 */
export async function lock(name: string, patience = 0): Promise<() => void> {
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
    // in Linux's abstract namespace, which is each network namespace's own
    server.listen(`\0wireguard-ts/${name}`, () => {
      server.unref();
      resolve(() => void server.close());
    });
  });
}

/** The old content is there until the new one is whole. */
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
