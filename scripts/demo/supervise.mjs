// The outer process of a demo. Makes the clone ready, starts the demo in namespaces of its own, passes its words on, and sees to it that all of it ends:
// when it is done, when it fails, on a signal, and when npm or the reader of its output is gone. What holds if this process is killed: the inner
// one reads the end of its lifeline (descriptor 3) and ends, and with the first process of its PID namespace the kernel ends all others.
import { completePath, makeReady } from '../ready/make-ready.mjs';
import { Failure, Interrupted } from './failure.mjs';
import { enterNamespaces } from './namespaces.mjs';
import { watchParents } from './parents.mjs';
import { checkMachine } from './preflight.mjs';
import { watchReader } from './reader.mjs';

const SIGNALS = ['SIGINT', 'SIGTERM', 'SIGHUP'];
/** As of a program that SIGPIPE ends. */
const PIPE_CLOSED = 141;

/**
 * Runs a scenario and ends the process: with status 0 if everything that it shows is as it should be.
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

/** Dies of the signal, so that whoever started this sees it. */
function endAs({ signal }, readerGone) {
  if (!signal) process.exit(readerGone ? PIPE_CLOSED : 1);
  for (const each of SIGNALS) process.removeAllListeners(each);
  process.kill(process.pid, signal);
  // the first process of a PID namespace cannot die of it
  process.exit(1);
}
