// The namespaces of a demo: processes, mounts, network, and without root users. `unshare` makes them and stays outside; the first process inside is a
// shell, which dies of signals at once and collects orphans, as Node would not; with it ends whatever runs in there.
import { spawn } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { Failure } from './failure.mjs';

const INNER = fileURLToPath(new URL('inner.mjs', import.meta.url));
/**
 * Where a container's /proc cannot be mounted anew, the old one does. `mount -n` leaves no /run/mount. Descriptor 4 is the standard error of the demo itself, so that what
 * unshare and the shell say of a process that was killed is not among its words.
 */
const FIRST = `trap 'exit 129' HUP; trap 'exit 130' INT; trap 'exit 143' TERM
mount -n -t proc proc /proc 2>/dev/null
"$@" 2>&4 4>&- &
wait $!
exit $?`;
const GRACE_MS = 1000;
const LOOK_MS = 200;

/**
 * Runs a scenario in there until it has ended, and everything that it started.
 * @returns its exit status
 * @throws Failure; the reason of `signal`, once all has ended
 */
export async function enterNamespaces({ scenario, signal }) {
  const asUser = ['-U', '-r'];
  const attempts = process.getuid() === 0 ? [[], asUser] : [asUser];
  const refusals = [];
  for (const users of attempts) {
    const outcome = await attempt(users, scenario, signal);
    if (outcome.refusal === undefined) return outcome.status;
    refusals.push(outcome.refusal);
  }
  throw new Failure(refused(refusals[0]));
}

async function attempt(users, scenario, signal) {
  const args = [...users, '-m', '-n', '--pid', '--fork', '--kill-child', '--', 'sh', '-c', FIRST, 'demo'];
  const child = spawn('unshare', [...args, process.execPath, INNER, scenario], {
    // no Ctrl-C of the terminal's: this process tells it
    detached: true,
    env: innerEnvironment(),
    stdio: ['ignore', 'pipe', 'pipe', 'pipe', 'pipe'],
  });
  const lifeline = child.stdio[3];
  const told = { text: '', said: '' };
  const isStarted = () => told.text.includes('started\n');
  lifeline?.setEncoding('utf8').on('data', text => {
    told.text += text;
  });
  lifeline?.on('error', () => {});
  child.stdout?.on('data', bytes => void process.stdout.write(bytes));
  child.stdio[4]?.on('data', bytes => void process.stderr.write(bytes));
  child.stderr?.setEncoding('utf8').on('data', text => {
    told.said += text;
  });
  let kill;
  const end = () => {
    lifeline?.destroy();
    kill ??= setTimeout(() => child.kill('SIGKILL'), GRACE_MS);
  };
  const looking = setInterval(() => {
    if (hasPendingSignal(child.pid)) end();
  }, LOOK_MS);
  signal.addEventListener('abort', end);
  try {
    const ended = await whenEnded(child);
    signal.throwIfAborted();
    if (ended.error)
      throw new Failure(`unshare of util-linux cannot be run (${ended.error.code}): apt-get install util-linux`);
    const done = /^done (\d+)$/m.exec(told.text);
    if (done) return { status: Number(done[1]) };
    const refusal = /^refused (.*)$/m.exec(told.text)?.[1] ?? /^unshare: .*/m.exec(told.said)?.[0];
    if (refusal && !isStarted()) return { refusal };
    throw new Failure(`it was ended from outside (${ended.how}), and nothing of it is left; run it again`);
  } finally {
    clearInterval(looking);
    clearTimeout(kill);
    signal.removeEventListener('abort', end);
  }
}

function whenEnded(child) {
  return new Promise(resolve => {
    child.once('error', error => resolve({ error }));
    child.once('close', (code, signal) => resolve({ how: signal ?? `status ${code}` }));
  });
}

function innerEnvironment() {
  const { NODE_OPTIONS, NODE_CHANNEL_FD, LOG_LEVEL, ...env } = process.env;
  const { columns, isTTY } = process.stdout;
  return {
    ...env,
    TMPDIR: '/run/demo',
    WGTS_DEMO_COLUMNS: String(columns || Number(env.COLUMNS) || 80),
    WGTS_DEMO_COLOR: isTTY && !env.NO_COLOR && env.TERM !== 'dumb' ? '1' : '0',
  };
}

/** `unshare` puts SIGINT and SIGTERM off until its child has ended. */
function hasPendingSignal(pid) {
  try {
    const [, pending] = /^ShdPnd:\s*([0-9a-f]+)/m.exec(readFileSync(`/proc/${pid}/status`, 'utf8'));
    return BigInt(`0x${pending}`) !== 0n;
  } catch {
    return false;
  }
}

function refused(what) {
  return process.getuid() === 0
    ? `the system refuses namespaces (${what}); in a container give it --privileged, or --cap-add SYS_ADMIN --cap-add NET_ADMIN`
    : `the system lets this user make no namespaces (${what}); run it as root, or allow it: sysctl -w user.max_user_namespaces=10000 kernel.unprivileged_userns_clone=1`;
}
