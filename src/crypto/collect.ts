/**
 * Keys inside node:crypto's objects are overwritten when V8's collector frees those, which in an idle program may take hours. So
 * whoever lets go of such a key asks for a collection. The addon's keys are erased at once and need none.
 */
/** Requests within this many milliseconds are served by one collection, which takes some 10 ms. */
const TOGETHER_MS = 10_000;

let isPlanned = false;

export function collectSoon(): void {
  if (isPlanned) return;
  isPlanned = true;
  setTimeout(() => {
    isPlanned = false;
    collector()();
  }, TOGETHER_MS).unref();
}

let known: (() => void) | undefined;

/** V8's own, which Node shows to new contexts once the flag is set. */
function collector(): () => void {
  if (!known) {
    // short commands never come here, so they do not load these
    const { setFlagsFromString } = process.getBuiltinModule('node:v8');
    const { runInNewContext } = process.getBuiltinModule('node:vm');
    setFlagsFromString('--expose-gc');
    known = runInNewContext('gc') as () => void;
    setFlagsFromString('--no-expose-gc');
  }
  return known;
}
