// A line on standard error for each step of making a clone ready: on a terminal with the seconds that run, elsewhere one line when the step is done.

const TICK_MS = 1000;

/** Runs a step, and shows for how long. */
export async function withProgress(what, run) {
  const isLive = process.stderr.isTTY === true && process.env.TERM !== 'dumb';
  const began = performance.now();
  const seconds = () => (performance.now() - began) / 1000;
  const write = text => process.stderr.write(text);
  write(`wireguard-ts: ${what} ...`);
  const timer =
    isLive && setInterval(() => write(`\r\x1b[Kwireguard-ts: ${what} ... ${seconds().toFixed(0)} s`), TICK_MS);
  try {
    return await run();
  } finally {
    clearInterval(timer);
    write(`${isLive ? `\r\x1b[Kwireguard-ts: ${what} ...` : ''} ${seconds().toFixed(1)} s\n`);
  }
}
