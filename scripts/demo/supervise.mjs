// The outer process of a demo: makes the clone ready, starts the demo in its own namespaces and
// forwards its output. It ends everything when the demo is done or fails, on a signal, and when npm
// or the reader of the output is gone. If this process is killed, the inner process notices that
// its lifeline (descriptor 3) closes, and ends. The first process of the PID namespace then ends
// too, and the kernel ends all others.
import { completePath, makeReady } from '../ready/make-ready.mjs';
import { Failure, Interrupted } from './failure.mjs';
import { enterNamespaces } from './namespaces.mjs';
import { watchParents } from './parents.mjs';
import { checkMachine } from './preflight.mjs';
import { watchReader } from './reader.mjs';

const SIGNALS = ['SIGINT', 'SIGTERM', 'SIGHUP'];
/** The exit status that a shell reports for a program ended by SIGPIPE. */
const PIPE_CLOSED = 141;

/**
 * Runs a scenario and ends the process, with status 0 if all checks of the scenario succeed.
 * @param name the demo's name in messages: demo, demo:calico
 * @param scenario a file in this folder that exports run()
 * @param prepare does what needs this machine's network or files, before the namespaces
 * @param cleanUp removes what outlives the namespaces
 */
export async function supervise({ name, scenario, prepare = async () => {}, cleanUp = async () => {} }) {
  const stop = new AbortController();
  const abort = signal => stop.abort(new Interrupted(signal));
  for (const signal of SIGNALS) process.on(signal, () => abort(signal));
  let readerGone = false;
  const onPipe = () => {
    readerGone = true;
    abort();
  };
  process.stdout.on('error', onPipe);
  process.stderr.on('error', onPipe);
  completePath();
  watchReader(onPipe);
  watchParents(() => abort());
  try {
    await makeReady({ signal: stop.signal });
    stop.signal.throwIfAborted();
    await checkMachine();
    stop.signal.throwIfAborted();
    await prepare({ signal: stop.signal });
    stop.signal.throwIfAborted();
    try {
      process.exitCode = await enterNamespaces({ scenario, signal: stop.signal });
    } finally {
      await cleanUp();
    }
  } catch (error) {
    if (error instanceof Interrupted) endAs(error, readerGone);
    const text = error instanceof Failure ? error.message : `${error.stack}`;
    process.stderr.write(`wireguard-ts ${name}: ${text}\n`);
    process.exitCode = 1;
  }
  process.exit();
}

/** Ends this process by the signal, so that the parent process sees the signal. */
function endAs({ signal }, readerGone) {
  if (!signal) process.exit(readerGone ? PIPE_CLOSED : 1);
  for (const each of SIGNALS) process.removeAllListeners(each);
  process.kill(process.pid, signal);
  // A process that is the first of a PID namespace cannot kill itself with a signal.
  process.exit(1);
}
