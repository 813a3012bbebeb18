/**
 * Requests a garbage collection after a key of node:crypto is dropped. OpenSSL overwrites such a
 * key only when V8's collector frees the object that holds it, which may take hours in an idle
 * program. The addon erases its keys at once and needs no collection.
 */
/** Requests within this time share one collection, which takes about 10 ms. */
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

/**
 * Returns V8's gc function, which Node exposes in contexts that are created after the flag is set.
 */
function collector(): () => void {
  if (!known) {
    // loaded late, because short commands never get here
    const { setFlagsFromString } = process.getBuiltinModule('node:v8');
    const { runInNewContext } = process.getBuiltinModule('node:vm');
    setFlagsFromString('--expose-gc');
    known = runInNewContext('gc') as () => void;
    setFlagsFromString('--no-expose-gc');
  }
  return known;
}
