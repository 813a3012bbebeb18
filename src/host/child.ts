/** Waits for child processes, and ends them early on an interrupt. */
import type { ChildProcess } from 'node:child_process';
import { readdirSync, readFileSync } from 'node:fs';
import { problem } from '../quick/problem.ts';

/** The time an interrupted process has to clean up before it is killed. */
const KILL_AFTER_MS = 2000;

const running = new Set<ChildProcess>();

/**
 * Waits for a process to end, but not for processes that it left in the background, which may still
 * hold our output.
 * @returns how the process failed; undefined if it succeeded
 * @throws Error with `code` EPROGRAM if the process could not be started
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

/**
 * Interrupts all running children. Sends SIGTERM to each child and its descendants, and later
 * SIGKILL to the child.
 */
export function interruptChildren(): void {
  for (const child of running) {
    if (child.pid === undefined) continue;
    for (const pid of family(child.pid)) terminate(pid);
    setTimeout(() => running.has(child) && child.kill('SIGKILL'), KILL_AFTER_MS).unref();
  }
}

/**
 * Returns a process and its descendants. The descendants need the signal too: bash does not pass a
 * signal on, and waits for its children.
 */
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
    // the fields after the program's name, which may contain anything
    const stat = readFileSync(`/proc/${pid}/stat`, 'latin1');
    return Number(stat.slice(stat.lastIndexOf(')') + 2).split(' ')[1]);
  } catch {
    return undefined; // the process has ended
  }
}

function terminate(pid: number): void {
  try {
    process.kill(pid, 'SIGTERM');
  } catch {
    // the process has ended
  }
}
