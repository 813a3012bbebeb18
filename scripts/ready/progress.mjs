// Shows progress on standard error for each step that takes long enough to be noticed: on a
// terminal a running count of seconds, elsewhere one line when the step is done.

const NOTICED_MS = 700;
const TICK_MS = 1000;

/**
 * Runs a step. Shows its name and duration. @param run may report how far it is, which a terminal
 * shows
 */
export async function withProgress(what, run) {
  const isLive = process.stderr.isTTY === true && process.env.TERM !== 'dumb';
  const began = performance.now();
  const seconds = digits => `${((performance.now() - began) / 1000).toFixed(digits)} s`;
  const write = text => process.stderr.write(text);
  let ticking;
  let detail = '';
  const first = setTimeout(() => {
    write(`wireguard-ts: ${what} ...`);
    ticking = isLive
      ? setInterval(() => write(`\r\x1b[Kwireguard-ts: ${what} ... ${seconds(0)}${detail}`), TICK_MS)
      : true;
  }, NOTICED_MS);
  try {
    return await run(text => {
      detail = ` (${text})`;
    });
  } finally {
    clearTimeout(first);
    if (isLive) clearInterval(ticking);
    if (ticking) write(`${isLive ? `\r\x1b[Kwireguard-ts: ${what} ...` : ''} ${seconds(1)}\n`);
  }
}
