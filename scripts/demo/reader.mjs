// Watches the reader of standard output, if that is a pipe (`npm run demo | head -1`). A process
// notices a closed pipe only when it writes, but a demo may be silent for a while, and Node cannot
// poll a descriptor that it only writes to. GNU's `tail -f` can: it ends when the reader of its
// output is gone.
import { spawn } from 'node:child_process';
import { fstatSync } from 'node:fs';

const OUTPUT = 1;

/**
 * Calls `onGone` once the reader of the pipe is gone. Without GNU's `tail`, only the next printed
 * line detects this.
 */
export function watchReader(onGone) {
  if (!isPipe()) return;
  // `--pid` ends it with this process.
  const args = ['-s', '0.2', `--pid=${process.pid}`, '-f', '/dev/null'];
  const tail = spawn('tail', args, { stdio: ['ignore', OUTPUT, 'ignore'] });
  tail.unref();
  tail.once('error', () => {});
  tail.once('exit', (code, signal) => {
    // Status 1 means that `tail` does not know one of the options.
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
