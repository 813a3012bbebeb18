// Work that only one process may do at a time, such as filling a cache: the one mechanism behind everything that is fetched or built once.
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdirSync } from 'node:fs';

const SOON_MS = 1000;
/** While flock waits it reads nothing: the kernel ends it when we have ended, where setpriv can ask for that. */
const WITH_US = `setpriv --pdeathsig KILL true 2>/dev/null && exec setpriv --pdeathsig KILL flock "$@"
exec flock "$@"`;

/**
 * Waits for the lock of a folder, and makes the folder if it is missing. The lock is the kernel's (flock of util-linux, on the folder itself): it
 * leaves no file behind, works in a read-only clone, and is free as soon as its holder has ended in whatever way. Callers look again whether
 * the work is still to be done: another may have done it meanwhile.
 * @param onWait called if another has it for longer than a second
 * @param onLost called if something else ends what holds it
 * @param signal ends the wait; the lock is not had then
 * @returns what frees the lock. Where there is no flock, or the folder cannot be opened, nothing is locked
 */
export async function lock(folder, { onWait = () => {}, onLost = () => {}, signal } = {}) {
  try {
    mkdirSync(folder, { recursive: true });
  } catch {
    // read-only: whoever cannot write there has nothing to be kept from
    return () => {};
  }
  // its standard input ends with us, and it with that
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
