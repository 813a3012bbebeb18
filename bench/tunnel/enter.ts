/**
 * Starts the benchmark again inside namespaces of its own: network, mounts with a /run of its own (control sockets), processes.
 * When it ends, however it ends, the kernel takes away everything that was in them. Without root a user namespace is made too.
 */
import { type ChildProcess, spawn } from 'node:child_process';
import { accessSync, constants, existsSync } from 'node:fs';

const INSIDE = 'WGTS_BENCH_INSIDE';

export function isInside(): boolean {
  return process.env[INSIDE] === '1';
}

/** Runs this program with the same arguments inside; resolves with its exit status. */
export async function enter(): Promise<number> {
  if (!existsSync('/dev/net/tun')) throw new Error('there is no /dev/net/tun here: modprobe tun');
  try {
    accessSync('/dev/net/tun', constants.R_OK | constants.W_OK);
  } catch {
    throw new Error(
      '/dev/net/tun may be opened by root alone here: run it as root, or let everyone open it (chmod 0666)',
    );
  }
  const root = process.getuid?.() === 0;
  const flags = [root ? '-nmp' : '-Urnmp', '--fork', '--kill-child', '--mount-proc'];
  const [script, ...args] = process.argv.slice(1) as [string, ...string[]];
  const child = spawn('unshare', [...flags, process.execPath, script, ...args], {
    // the pipe tells it when we are gone
    stdio: ['pipe', 'inherit', 'inherit'],
    env: { ...process.env, [INSIDE]: '1' },
  });
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.once(signal, () => end(child, signal));
  return new Promise((resolve, reject) => {
    child.once('error', error => reject(new Error(`unshare could not be run: ${error.message}`)));
    child.once('close', status => resolve(status ?? 1));
  });
}

/** Called inside, first thing. */
export function watchOutside(): void {
  const leave = (): never => process.exit(130);
  process.stdin.on('end', leave).on('error', leave).resume();
  process.stdin.unref?.();
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.once(signal, leave);
}

function end(child: ChildProcess, signal: NodeJS.Signals): void {
  // with it goes what it forked, and with that, being the first of its namespace, every other process in there
  child.kill('SIGKILL');
  process.stderr.write(`\nwireguard-ts bench: ended by ${signal}\n`);
  process.exit(130);
}
