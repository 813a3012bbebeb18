/** Child processes that are waited for, and how they are ended early. */
import type { ChildProcess } from 'node:child_process';
import { readdirSync, readFileSync } from 'node:fs';
import { problem } from '../quick/problem.ts';

/** What an interrupted process has to clean up, in milliseconds, before it is killed. */
const KILL_AFTER_MS = 2000;

const running = new Set<ChildProcess>();

/**
 * How a process ended, once it has. What it left in the background is not waited for, though it may still hold our output.
 * @returns undefined for success
 * @throws Error: `code` EPROGRAM if it could not be started
 */
export async function ending(child: ChildProcess): Promise<string | undefined> {
  running.add(child);
  try {
    return await new Promise((resolve, reject) => {
      child.once('error', error => reject(problem('EPROGRAM', `${child.spawnfile} cannot be run: ${error.message}`)));
      child.once('exit', (status, signal) => resolve(status === 0 ? undefined : (signal ?? `status ${status}`)));
    });
  } finally {
    running.delete(child);
  }
}

/** Ends the process that is being waited for, if one is: it and all that it started gets SIGTERM, and itself later SIGKILL. */
export function interruptChildren(): void {
  for (const child of running) {
    if (child.pid === undefined) continue;
    for (const pid of family(child.pid)) terminate(pid);
    setTimeout(() => running.has(child) && child.kill('SIGKILL'), KILL_AFTER_MS).unref();
  }
}

/** A process and all below it: bash does not pass a signal on, and waits for what it started. */
function family(pid: number): number[] {
  const children = new Map<number, number[]>();
  for (const entry of readdirSync('/proc')) {
    const parent = /^[0-9]+$/.test(entry) ? parentOf(entry) : undefined;
    if (parent !== undefined) children.set(parent, [...(children.get(parent) ?? []), Number(entry)]);
  }
  const all = [pid];
  for (const each of all) all.push(...(children.get(each) ?? []));
  return all;
}

function parentOf(pid: string): number | undefined {
  try {
    // behind the program's name, which may hold anything
    const stat = readFileSync(`/proc/${pid}/stat`, 'latin1');
    return Number(stat.slice(stat.lastIndexOf(')') + 2).split(' ')[1]);
  } catch {
    return undefined; // it has ended
  }
}

function terminate(pid: number): void {
  try {
    process.kill(pid, 'SIGTERM');
  } catch {
    // it has ended
  }
}
