// Who reads standard output, where it is a pipe (`npm run demo | head -1`). A closed pipe is noticed by who writes; a demo may have nothing to say
// for a while, so it is tried whether the pipe can be opened once more, which fails where nobody reads.
import { closeSync, constants, fstatSync, openSync } from 'node:fs';

const LOOK_MS = 200;
const OUTPUT = 1;

/** Calls `onGone` once nobody reads the pipe any more. */
export function watchReader(onGone) {
  if (!isPipe()) return;
  const timer = setInterval(() => {
    if (hasReader()) return;
    clearInterval(timer);
    onGone();
  }, LOOK_MS);
  timer.unref();
}

function isPipe() {
  try {
    return fstatSync(OUTPUT).isFIFO();
  } catch {
    return false;
  }
}

function hasReader() {
  try {
    closeSync(openSync(`/proc/self/fd/${OUTPUT}`, constants.O_WRONLY | constants.O_NONBLOCK));
    return true;
  } catch (error) {
    // otherwise it cannot be told, as with another user's pipe
    return error.code !== 'ENXIO';
  }
}
