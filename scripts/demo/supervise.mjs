// The outer process of a demo: makes the clone ready, starts the demo in its own namespaces and
// forwards its output. It ends everything when the demo is done or fails, on a signal, and when npm
// or the reader of the output is gone. If this process is killed, the inner one reads the end of
// its lifeline (descriptor 3) and ends, and with the first process of the PID namespace the kernel
// ends all others.
import { completePath, makeReady } from '../ready/make-ready.mjs';
import { Failure, Interrupted } from './failure.mjs';
import { enterNamespaces } from './namespaces.mjs';
import { watchParents } from './parents.mjs';
import { checkMachine } from './preflight.mjs';
import { watchReader } from './reader.mjs';

const SIGNALS = ['SIGINT', 'SIGTERM', 'SIGHUP'];
/** The status of a program that SIGPIPE ended. */
const PIPE_CLOSED = 141;

/**
 * Runs a scenario and ends the process, with status 0 if all its checks succeed.
 * @param name for messages: demo, demo:calico
 * @param scenario a file beside this one, which exports run()
 */
export async function supervise({ name, scenario }) {
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
    process.exitCode = await enterNamespaces({ scenario, signal: stop.signal });
  } catch (error) {
    if (error instanceof Interrupted) endAs(error, readerGone);
    const text = error instanceof Failure ? error.message : `${error.stack}`;
    process.stderr.write(`wireguard-ts ${name}: ${text}\n`);
    process.exitCode = 1;
  }
  process.exit();
}

/** Dies of the signal, so that the parent process sees it. */
function endAs({ signal }, readerGone) {
  if (!signal) process.exit(readerGone ? PIPE_CLOSED : 1);
  for (const each of SIGNALS) process.removeAllListeners(each);
  process.kill(process.pid, signal);
  // The first process of a PID namespace cannot kill itself with a signal.
  process.exit(1);
}
