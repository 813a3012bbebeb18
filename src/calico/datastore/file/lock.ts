/**
 * A lock file that admits one writer at a time among programs that share a folder. A killed program
 * leaves its lock file behind. Writers hold the lock only briefly, so an old lock file is removed.
 */
import { randomBytes } from 'node:crypto';
import { link, open, rename, rm, stat } from 'node:fs/promises';
import { setTimeout as sleep } from 'node:timers/promises';
import { codedError } from '../../../base/coded-error.ts';

/** Age at which a lock counts as abandoned. Writers hold it for about 10 ms. */
const ABANDONED_AFTER_MS = 10_000;
const ACQUIRE_TIMEOUT_MS = 30_000;

/**
 * Runs `work` under the lock. Rejects with EAGAIN if other programs hold the lock for half a
 * minute, and with the errors of `work`.
 */
export async function withLock<T>(path: string, work: () => Promise<T>): Promise<T> {
  const token = await acquire(path);
  try {
    return await work();
  } finally {
    await release(path, token);
  }
}

async function acquire(path: string): Promise<number> {
  for (const end = Date.now() + ACQUIRE_TIMEOUT_MS; Date.now() < end; ) {
    try {
      const file = await open(path, 'wx', 0o600);
      try {
        await file.write(`${process.pid}\n`);
        return (await file.stat()).ino;
      } finally {
        await file.close();
      }
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'EEXIST') throw error;
    }
    await removeAbandoned(path);
    await sleep(5 + Math.random() * 20);
  }
  throw codedError(
    'EAGAIN',
    `${path}: other programs have held this lock for ${ACQUIRE_TIMEOUT_MS / 1000} s; remove it if none is running`,
  );
}

/**
 * Removes the lock only if it is still ours: while this machine slept, another program may have
 * replaced it.
 */
async function release(path: string, ino: number): Promise<void> {
  const found = await stat(path).catch(() => undefined);
  if (found?.ino === ino) await rm(path, { force: true });
}

async function removeAbandoned(path: string): Promise<void> {
  const found = await stat(path).catch(() => undefined);
  if (!found || Date.now() - found.mtimeMs < ABANDONED_AFTER_MS) return;
  // Rename the lock first: if several programs saw the old lock, only one of them succeeds.
  const aside = `${path}.${randomBytes(6).toString('hex')}`;
  try {
    await rename(path, aside);
    // Just before, another program may have replaced the old lock with its own: put that lock back.
    if ((await stat(aside)).ino !== found.ino) await link(aside, path).catch(() => undefined);
  } catch {
    // Another program was faster.
  } finally {
    await rm(aside, { force: true });
  }
}
