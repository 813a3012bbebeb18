/** The programs of the host that may be run: what a file's hooks say, and whoever keeps the host's DNS servers. */
import { spawn } from 'node:child_process';
import { accessSync, constants } from 'node:fs';
import { delimiter, join } from 'node:path';
import { problem } from '../quick/problem.ts';

/** Runs a command as bash(1) reads it, or sh(1) where there is none. @throws Error with its status */
export async function runHook(command: string): Promise<void> {
  const shell = findProgram('bash') ?? '/bin/sh';
  const ending = await run(shell, ['-c', command]);
  if (ending !== undefined) throw problem('EPROGRAM', `the hook \`${command}' ended with ${ending}`);
}

/** @throws Error with its name and status */
export async function runProgram(path: string, args: readonly string[], input = ''): Promise<void> {
  const ending = await run(path, args, input);
  if (ending !== undefined) throw problem('EPROGRAM', `${path} ${args.join(' ')} ended with ${ending}`);
}

/** @returns undefined if nothing on the PATH can be run by that name */
export function findProgram(name: string): string | undefined {
  const folders = (process.env['PATH'] ?? '').split(delimiter).concat('/usr/sbin', '/sbin');
  return folders
    .filter(folder => folder !== '')
    .map(folder => join(folder, name))
    .find(isExecutable);
}

/** @returns undefined for success */
function run(path: string, args: readonly string[], input?: string): Promise<string | undefined> {
  return new Promise((resolve, reject) => {
    const child = spawn(path, args, { stdio: [input === undefined ? 'inherit' : 'pipe', 'inherit', 'inherit'] });
    child.on('error', reject);
    child.on('close', (status, signal) => resolve(status === 0 ? undefined : (signal ?? `status ${status}`)));
    // one that reads nothing is not an error
    child.stdin?.on('error', () => {}).end(input);
  });
}

function isExecutable(path: string): boolean {
  try {
    accessSync(path, constants.X_OK);
    return true;
  } catch {
    return false;
  }
}
