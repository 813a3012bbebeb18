// Watches the programs that started this one: npm and its shell. A program cannot report its own
// SIGKILL, so this module polls them.
import { readFileSync } from 'node:fs';

const LOOK_MS = 200;
const RUNNERS = /^(npm|npx|pnpm|yarn|bun|node)\b/;

/** Calls `onGone` once npm or its shell, if `npm run demo` started this program, has ended. */
export function watchParents(onGone) {
  const parents = findParents();
  const timer = setInterval(() => {
    const gone = parents.find(({ pid, started }) => startTime(pid) !== started);
    if (!gone && parents.length > 0 && process.ppid === parents[0].pid) return;
    if (!gone && parents.length === 0) return;
    clearInterval(timer);
    onGone();
  }, LOOK_MS);
  timer.unref();
  return () => clearInterval(timer);
}

/** Returns the parents up to npm itself, nearest first; empty if npm did not start this program. */
function findParents() {
  if (process.env.npm_lifecycle_event === undefined) return [];
  const parents = [];
  for (let pid = process.ppid; pid > 0 && parents.length < 3; pid = stat(pid)?.parent ?? 0) {
    parents.push({ pid, started: startTime(pid) });
    if (RUNNERS.test(programName(pid))) return parents;
  }
  // The runner is unknown: watch only its shell.
  return parents.slice(0, 1);
}

function programName(pid) {
  try {
    return readFileSync(`/proc/${pid}/cmdline`, 'utf8').split('\0')[0].split('/').at(-1);
  } catch {
    return '';
  }
}

/**
 * Returns a process's start time, which distinguishes it from a later process with the same pid;
 * undefined for a zombie.
 */
function startTime(pid) {
  const found = stat(pid);
  return found && found.state !== 'Z' && found.state !== 'X' ? found.started : undefined;
}

/** Parses /proc/PID/stat, whose second field may contain spaces and parentheses. */
function stat(pid) {
  try {
    const text = readFileSync(`/proc/${pid}/stat`, 'utf8');
    const fields = text.slice(text.lastIndexOf(')') + 2).split(' ');
    return { state: fields[0], parent: Number(fields[1]), started: fields[19] };
  } catch {
    return undefined;
  }
}
