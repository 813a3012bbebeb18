// A command that does not outlive this process, and nothing that it starts does: a process group with a guard in it, a shell that waits on a pipe
// from here. Even SIGKILL of this process closes the pipe, and the guard ends the group.
import { spawn } from 'node:child_process';

/** The end of the pipe is descriptor 3, which the guard alone keeps: where it is ended first, that is seen here. The status is the command's. */
const GUARD = `(read -r _ <&3; kill -KILL 0) 3<&3 &
exec 3<&-
"$@"
exit $?`;
const LONGEST = 100_000;

/**
 * Runs a program to its end.
 * @returns its exit status, or the name of the signal that ended it, and what it printed
 * @throws the reason of `signal` once all of it has ended
 */
export async function runGuarded(program, args, { cwd, signal }) {
  signal?.throwIfAborted();
  const child = spawn('sh', ['-c', GUARD, 'guard', program, ...args], {
    cwd,
    // a group of its own
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
      // all of it has ended
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
  // the guard, and what the command left running
  end();
  signal?.removeEventListener('abort', end);
  signal?.throwIfAborted();
  return { status, output };
}
