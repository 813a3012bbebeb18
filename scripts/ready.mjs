#!/usr/bin/env node
// Makes a clone ready to run (ready/make-ready.mjs). Does only what is missing, and prints nothing
// if nothing is.
import './node-version.mjs';

// An end before the status is set is a failure.
process.exitCode = 1;
main();

async function main() {
  const { Failure, Interrupted } = await import('./demo/failure.mjs');
  const { makeReady } = await import('./ready/make-ready.mjs');
  const stop = new AbortController();
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'])
    process.once(signal, () => {
      stop.abort(new Interrupted(signal));
    });
  try {
    await makeReady({ signal: stop.signal });
  } catch (error) {
    if (error instanceof Interrupted) process.kill(process.pid, error.signal);
    console.error(`wireguard-ts: ${error instanceof Failure ? error.message : error.stack}`);
    process.exit(1);
  }
  process.exit(0);
}
