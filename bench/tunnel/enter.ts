/**
 * Restarts the benchmark inside its own namespaces: network, processes, and mounts with a separate
 * /run for control sockets. When it ends, for any reason, the kernel removes everything in them.
 * Without root it also creates a user namespace.
 */
import { type ChildProcess, spawn } from 'node:child_process';
import { accessSync, constants, existsSync } from 'node:fs';

const INSIDE = 'WGTS_BENCH_INSIDE';

export function isInside(): boolean {
  return process.env[INSIDE] === '1';
}

/** Runs this program inside with the same arguments. @returns its exit status */
export async function enter(): Promise<number> {
  if (!existsSync('/dev/net/tun')) throw new Error('there is no /dev/net/tun here: modprobe tun');
  try {
    accessSync('/dev/net/tun', constants.R_OK | constants.W_OK);
  } catch {
    throw new Error(
      '/dev/net/tun can only be opened by root here: run it as root, or let everyone open it (chmod 0666)',
    );
  }
  const root = process.getuid?.() === 0;
  const flags = [root ? '-nmp' : '-Urnmp', '--fork', '--kill-child', '--mount-proc'];
  const [script, ...args] = process.argv.slice(1) as [string, ...string[]];
  const child = spawn('unshare', [...flags, process.execPath, script, ...args], {
    // The child notices through this pipe when this process is gone.
    stdio: ['pipe', 'inherit', 'inherit'],
    env: { ...process.env, [INSIDE]: '1' },
  });
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.once(signal, () => end(child, signal));
  return new Promise((resolve, reject) => {
    child.once('error', error => reject(new Error(`unshare could not be run: ${error.message}`)));
    child.once('close', status => resolve(status ?? 1));
  });
}

/** Ends the inner process when the outer one is gone. Call this first in the inner process. */
export function watchOutside(): void {
  const leave = (): never => process.exit(130);
  process.stdin.on('end', leave).on('error', leave).resume();
  process.stdin.unref?.();
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.once(signal, leave);
}

function end(child: ChildProcess, signal: NodeJS.Signals): void {
  // The child's fork is the init of its PID namespace, so killing it ends every process inside.
  child.kill('SIGKILL');
  process.stderr.write(`\nwireguard-ts bench: ended by ${signal}\n`);
  process.exit(130);
}
