// Who reads standard output, where it is a pipe (`npm run demo | head -1`). A closed pipe is noticed by who writes; a demo may have nothing to say
// for a while, and Node cannot poll a descriptor that it only writes to. `tail -f` of GNU does: it ends when nobody reads its output any more.
import { spawn } from 'node:child_process';
import { fstatSync } from 'node:fs';

const OUTPUT = 1;

/** Calls `onGone` once nobody reads the pipe any more; where there is no such `tail`, the next line that is printed finds it out. */
export function watchReader(onGone) {
  if (!isPipe()) return;
  // it ends with us, too
  const args = ['-s', '0.2', `--pid=${process.pid}`, '-f', '/dev/null'];
  const tail = spawn('tail', args, { stdio: ['ignore', OUTPUT, 'ignore'] });
  tail.unref();
  tail.once('error', () => {});
  tail.once('exit', (code, signal) => {
    // it does not know an option
    if (code !== 1 || signal) onGone();
  });
  process.once('exit', () => tail.kill('SIGKILL'));
}

function isPipe() {
  try {
    return fstatSync(OUTPUT).isFIFO();
  } catch {
    return false;
  }
}
