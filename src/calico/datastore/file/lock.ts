/**
 * One writer at a time among programs that share a folder: a lock file, made only where there is none. A program that was killed leaves it behind; it is
 * then taken away, for nobody needs it for longer than a moment.
 */
import { randomBytes } from 'node:crypto';
import { link, open, rename, rm, stat } from 'node:fs/promises';
import { setTimeout as sleep } from 'node:timers/promises';
import { codedError } from '../../../base/coded-error.ts';

/** Milliseconds after which a lock is nobody's. Work under it takes some 10. */
const ABANDONED = 10_000;
const PATIENCE = 30_000;

/** Rejects with EAGAIN when others have had it for all of half a minute, and with what `work` rejects with. */
export async function withLock<T>(path: string, work: () => Promise<T>): Promise<T> {
  const token = await acquire(path);
  try {
    return await work();
  } finally {
    await release(path, token);
  }
}

async function acquire(path: string): Promise<number> {
  for (const end = Date.now() + PATIENCE; Date.now() < end; ) {
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
    await takeAwayAbandoned(path);
    await sleep(5 + Math.random() * 20);
  }
  throw codedError(
    'EAGAIN',
    `${path}: other programs have held this lock for ${PATIENCE / 1000} s; remove it if none is running`,
  );
}

/** Only one's own: it may have been taken for abandoned, if this machine slept. */
async function release(path: string, ino: number): Promise<void> {
  const found = await stat(path).catch(() => undefined);
  if (found?.ino === ino) await rm(path, { force: true });
}

async function takeAwayAbandoned(path: string): Promise<void> {
  const found = await stat(path).catch(() => undefined);
  if (!found || Date.now() - found.mtimeMs < ABANDONED) return;
  // by another name first, as only one of those who saw it old can rename it
  const aside = `${path}.${randomBytes(6).toString('hex')}`;
  try {
    await rename(path, aside);
    // and somebody may just have done all of this: then it is a new one, and is put back
    if ((await stat(aside)).ino !== found.ino) await link(aside, path).catch(() => undefined);
  } catch {
    // another was faster
  } finally {
    await rm(aside, { force: true });
  }
}
