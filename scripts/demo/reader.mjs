// Watches the reader of standard output, if that is a pipe (`npm run demo | head -1`). Only a write
// notices a closed pipe, but a demo may be silent for a while, and Node cannot poll a descriptor
// that it only writes to. GNU's `tail -f` can: it ends when the reader of its output is gone.
import { spawn } from 'node:child_process';
import { fstatSync } from 'node:fs';

const OUTPUT = 1;

/**
 * Calls `onGone` once the reader of the pipe is gone. Without such a `tail`, the next printed line
 * detects it.
 */
export function watchReader(onGone) {
  if (!isPipe()) return;
  // It also ends with this process.
  const args = ['-s', '0.2', `--pid=${process.pid}`, '-f', '/dev/null'];
  const tail = spawn('tail', args, { stdio: ['ignore', OUTPUT, 'ignore'] });
  tail.unref();
  tail.once('error', () => {});
  tail.once('exit', (code, signal) => {
    // Status 1 means an unknown option.
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
