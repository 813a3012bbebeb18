// Work that only one process may do at a time, such as filling a cache: the one mechanism behind everything that is fetched or built once.
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdirSync } from 'node:fs';

/**
 * Waits for the lock of a folder, and makes the folder if it is missing. The lock is the kernel's (flock of util-linux, on the folder itself): it
 * leaves no file behind, works in a read-only clone, and is free as soon as its holder has ended in whatever way. Callers look again whether
 * the work is still to be done: another may have done it meanwhile.
 * @returns what frees the lock. Where there is no flock, or the folder cannot be opened, nothing is locked
 */
export async function lock(folder) {
  try {
    mkdirSync(folder, { recursive: true });
  } catch {
    // read-only: whoever cannot write there has nothing to be kept from
    return () => {};
  }
  // its standard input ends with us, and it with that
  const holder = spawn('flock', [folder, 'sh', '-c', 'echo locked; read -r _'], { stdio: ['pipe', 'pipe', 'ignore'] });
  const ended = once(holder, 'close').catch(() => {});
  await Promise.race([once(holder.stdout, 'data'), ended]).catch(() => {});
  return () => {
    holder.stdin.destroy();
    return ended;
  };
}
