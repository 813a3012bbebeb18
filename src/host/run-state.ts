/**
 * /run/wireguard-ts: a file for each interface that `wgts up` made, of this network namespace (the same name may be in another), and a lock, so
 * that one `up` or `down` of an interface is at work at a time. The lock is a name that goes with the process, however that ends.
 */
import { mkdirSync, readFileSync, readlinkSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { join } from 'node:path';
import { problem } from '../quick/problem.ts';
import { formatState, parseState, type QuickState } from '../quick/state.ts';

export const RUN_FOLDER = '/run/wireguard-ts';

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
  mkdirSync(RUN_FOLDER, { recursive: true, mode: 0o755 });
  const path = statePath(state.name);
  writeFileSync(`${path}.new`, formatState(state), { mode: 0o600 });
  renameSync(`${path}.new`, path);
}

export function removeState(name: string): void {
  rmSync(statePath(name), { force: true });
}

export function statePath(name: string): string {
  const namespace = /[0-9]+/.exec(readlinkSync('/proc/self/ns/net'))?.[0] ?? '0';
  return join(RUN_FOLDER, `${name}.${namespace}.json`);
}

/** @returns the function that lets go. @throws Error with `code` EBUSY if another process has it */
export function lock(name: string): Promise<() => void> {
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
