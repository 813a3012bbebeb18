// Runs a command so that neither it nor anything that it starts outlives this process. They are a
// process group, and a guard in the group, a shell, reads from a pipe that this process holds open.
// Even SIGKILL of this process closes the pipe, and then the guard kills the group.
import { spawn } from 'node:child_process';

/**
 * Starts the guard, then runs the command. Descriptor 3 is the guard's end of the pipe; no other
 * process keeps it, so this process notices if the guard dies first. The exit status is the
 * command's.
 */
const GUARD = `(read -r _ <&3; kill -KILL 0) 3<&3 &
exec 3<&-
"$@"
exit $?`;
const LONGEST = 100_000;

/**
 * Runs a program to its end.
 * @returns its exit status, or the name of the signal that ended it, and its output
 * @throws the reason of `signal` once everything has ended
 */
export async function runGuarded(program, args, { cwd, signal }) {
  signal?.throwIfAborted();
  const child = spawn('sh', ['-c', GUARD, 'guard', program, ...args], {
    cwd,
    // Make a separate process group.
    detached: true,
    stdio: ['ignore', 'pipe', 'pipe', 'pipe'],
  });
  const pipe = child.stdio[3];
  let output = '';
  for (const stream of [child.stdout, child.stderr])
    stream?.setEncoding('utf8').on('data', text => {
      output = (output + text).slice(-LONGEST);
    });
  const end = () => {
    pipe?.destroy();
    try {
      if (child.pid) process.kill(-child.pid, 'SIGKILL');
    } catch {
      // All processes of the group have ended already.
    }
  };
  pipe
    ?.on('error', () => {})
    .on('end', end)
    .resume();
  signal?.addEventListener('abort', end);
  const status = await new Promise(resolve => {
    child.once('error', error => {
      output += error.message;
      resolve(error.code);
    });
    child.once('exit', (code, name) => resolve(code ?? name));
  });
  // End the guard and everything that the command left running.
  end();
  signal?.removeEventListener('abort', end);
  signal?.throwIfAborted();
  return { status, output };
}
