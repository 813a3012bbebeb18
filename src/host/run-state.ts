/**
 * /run/wireguard-ts: one state file per network namespace and interface that `wgts up` created.
 */
import { mkdirSync, readFileSync, readlinkSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
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
  return runPath(name, 'json');
}

/** Returns the path of a file that belongs to an interface of this network namespace. */
export function runPath(name: string, extension: string): string {
  const namespace = /[0-9]+/.exec(readlinkSync('/proc/self/ns/net'))?.[0] ?? '0';
  return join(RUN_FOLDER, `${name}.${namespace}.${extension}`);
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
