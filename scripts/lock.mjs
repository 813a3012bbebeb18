// Locks a folder against other processes, while something that all of them need is fetched or built
// once, such as a cache.
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdirSync } from 'node:fs';

const SOON_MS = 1000;
/**
 * Runs flock so that the kernel kills it when this process ends, if setpriv can request that. While
 * flock waits, it does not notice that its standard input has closed.
 */
const WITH_US = `setpriv --pdeathsig KILL true 2>/dev/null && exec setpriv --pdeathsig KILL flock "$@"
exec flock "$@"`;

/**
 * Waits for the lock of a folder, and creates the folder if it is missing. The lock is the kernel's
 * (flock of util-linux, on the folder itself): it leaves no file behind, works in a read-only
 * clone, and is released whenever its holder ends, for any reason. After this call, callers must
 * check again whether the work is still needed, because the previous holder may have done it.
 * @param onWait called if another process holds the lock for longer than a second
 * @param onLost called if something else ends the process that holds the lock for us
 * @param signal ends the wait without the lock
 * @returns a function that releases the lock. Without flock, or if the folder cannot be opened,
 * nothing is locked
 */
export async function lock(folder, { onWait = () => {}, onLost = () => {}, signal } = {}) {
  try {
    mkdirSync(folder, { recursive: true });
  } catch {
    // The folder cannot be created here: a process that cannot write needs no lock.
    return () => {};
  }
  // The holder's standard input closes when this process ends, and then the holder ends too.
  const holder = spawn('sh', ['-c', WITH_US, 'lock', folder, 'sh', '-c', 'echo locked; read -r _'], {
    stdio: ['pipe', 'pipe', 'ignore'],
  });
  const ended = once(holder, 'close').catch(() => {});
  const waiting = setTimeout(onWait, SOON_MS);
  const stop = () => holder.kill('SIGKILL');
  signal?.addEventListener('abort', stop);
  const hasLock = await Promise.race([once(holder.stdout, 'data').then(() => true), ended.then(() => false)]).catch(
    () => false,
  );
  clearTimeout(waiting);
  signal?.removeEventListener('abort', stop);
  let isWanted = true;
  holder.once('exit', () => isWanted && hasLock && onLost());
  return () => {
    isWanted = false;
    holder.stdin.destroy();
    return ended;
  };
}
