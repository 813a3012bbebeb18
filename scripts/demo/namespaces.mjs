// Creates the namespaces of a demo: processes, mounts, network, and users if not root. `unshare`
// creates them and stays outside. The first process inside is a shell, which unlike Node ends at
// once on a signal, and reaps orphans. When it ends, everything inside ends.
import { spawn } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { Failure } from './failure.mjs';

const INNER = fileURLToPath(new URL('inner.mjs', import.meta.url));
/**
 * The first process. In a container, mounting /proc may fail, and then the old /proc works. `mount
 * -n` leaves no /run/mount. Descriptor 4 is the demo's own standard error: it separates the demo's
 * messages from those of unshare and the shell about a killed process.
 */
const FIRST = `trap 'exit 129' HUP; trap 'exit 130' INT; trap 'exit 143' TERM
mount -n -t proc proc /proc 2>/dev/null
"$@" 2>&4 4>&- &
wait $!
exit $?`;
const GRACE_MS = 1000;
const LOOK_MS = 200;

/**
 * Runs a scenario in new namespaces, until it and everything it started have ended.
 * @returns its exit status
 * @throws Failure; the reason of `signal`, once everything has ended
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
    // Ctrl-C on a terminal must not reach the child: this process ends it.
    detached: true,
    env: innerEnvironment(),
    stdio: ['ignore', 'pipe', 'pipe', 'pipe', 'pipe'],
  });
  const lifeline = child.stdio[3];
  const received = { lifeline: '', stderr: '' };
  const isStarted = () => received.lifeline.includes('started\n');
  lifeline?.setEncoding('utf8').on('data', text => {
    received.lifeline += text;
  });
  lifeline?.on('error', () => {});
  child.stdout?.on('data', bytes => void process.stdout.write(bytes));
  child.stdio[4]?.on('data', bytes => void process.stderr.write(bytes));
  child.stderr?.setEncoding('utf8').on('data', text => {
    received.stderr += text;
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
    const done = /^done (\d+)$/m.exec(received.lifeline);
    if (done) return { status: Number(done[1]) };
    const refusal = /^refused (.*)$/m.exec(received.lifeline)?.[1] ?? /^unshare: .*/m.exec(received.stderr)?.[0];
    if (refusal && !isStarted()) return { refusal };
    throw new Failure(`it was killed from outside (${ended.how}) and has left nothing behind; run it again`);
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

/**
 * Returns whether a signal is pending: `unshare` defers SIGINT and SIGTERM until its child has
 * ended.
 */
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
    ? `the system refuses namespaces (${what}); in a container run with --privileged, or --cap-add SYS_ADMIN --cap-add NET_ADMIN`
    : `this user may not create namespaces (${what}); run it as root, or allow them: sysctl -w user.max_user_namespaces=10000 kernel.unprivileged_userns_clone=1`;
}
