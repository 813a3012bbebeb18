/**
 * Runs programs of the host: finds them on the PATH, and waits for their end up to a time limit.
 */
import { type ChildProcess, spawn } from 'node:child_process';
import { accessSync, constants, statSync } from 'node:fs';
import { delimiter, join } from 'node:path';
import { problem } from '../quick/problem.ts';
import { ending } from './child.ts';

export interface ProgramOptions {
  /** The program's standard input. */
  readonly input?: string;
  /** Milliseconds after which the program and its children are killed. */
  readonly limit?: number;
}

/** resolvconf restarts services; resolvectl waits 25 s for a service that does not answer. */
const LIMIT_MS = 30_000;

/** Runs a program. @throws Error with its name and status */
export async function runProgram(
  path: string,
  args: readonly string[],
  { input = '', limit = LIMIT_MS }: ProgramOptions = {},
): Promise<void> {
  const line = `${path} ${args.join(' ')}`;
  // a separate process group, so that its children can be killed too
  const child = spawn(path, args, { stdio: ['pipe', 'inherit', 'inherit'], detached: true });
  // ignore the error of a program that does not read its input
  child.stdin!.on('error', () => {}).end(input);
  let late = false;
  const timer = setTimeout(() => {
    late = true;
    killGroup(child);
  }, limit);
  try {
    const how = await ending(child);
    if (late) throw problem('EPROGRAM', `${line} did not end within ${limit / 1000} s and was killed`);
    if (how !== undefined) throw problem('EPROGRAM', `${line} ended with ${how}`);
  } finally {
    clearTimeout(timer);
    child.stdin!.destroy();
  }
}

/** Finds a program. @returns its path; undefined if the PATH has no executable of that name */
export function findProgram(name: string, path = `${process.env['PATH'] ?? ''}:/usr/sbin:/sbin`): string | undefined {
  return path
    .split(delimiter)
    .filter(folder => folder !== '')
    .map(folder => join(folder, name))
    .find(isExecutable);
}

function killGroup({ pid }: ChildProcess): void {
  try {
    if (pid !== undefined) process.kill(-pid, 'SIGKILL');
  } catch {
    // the process group has ended
  }
}

function isExecutable(path: string): boolean {
  try {
    accessSync(path, constants.X_OK);
    return statSync(path).isFile();
  } catch {
    return false;
  }
}
