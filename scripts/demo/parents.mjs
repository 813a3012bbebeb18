// Who started this program: npm and its shell. SIGKILL tells nobody, so they are looked at.
import { readFileSync } from 'node:fs';

const LOOK_MS = 200;
const RUNNERS = /^(npm|npx|pnpm|yarn|bun|node)\b/;

/** Calls `onGone` once a program that runs this one as its script (`npm run demo`) has ended. */
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

/** From the nearest to npm itself; none where it was started by hand. */
function findParents() {
  if (process.env.npm_lifecycle_event === undefined) return [];
  const parents = [];
  for (let pid = process.ppid; pid > 0 && parents.length < 3; pid = stat(pid)?.parent ?? 0) {
    parents.push({ pid, started: startTime(pid) });
    if (RUNNERS.test(programName(pid))) return parents;
  }
  // the shell alone, by whatever it was started
  return parents.slice(0, 1);
}

function programName(pid) {
  try {
    return readFileSync(`/proc/${pid}/cmdline`, 'utf8').split('\0')[0].split('/').at(-1);
  } catch {
    return '';
  }
}

/** Tells a process from a later one with its number. A dead one that nobody has waited for yet has none. */
function startTime(pid) {
  const found = stat(pid);
  return found && found.state !== 'Z' && found.state !== 'X' ? found.started : undefined;
}

/** Of /proc/PID/stat, whose second field may have spaces and parentheses in it. */
function stat(pid) {
  try {
    const text = readFileSync(`/proc/${pid}/stat`, 'utf8');
    const fields = text.slice(text.lastIndexOf(')') + 2).split(' ');
    return { state: fields[0], parent: Number(fields[1]), started: fields[19] };
  } catch {
    return undefined;
  }
}
