/**
 * Explains failed writes. In containers, much of the file system is read-only, or single files are
 * mounted.
 */
import { problem } from '../quick/problem.ts';

/**
 * Error codes of a place that cannot be written. Node reports ENOENT for a folder on a read-only
 * file system; the kernel reports EBUSY for a file that is a mount point.
 */
const NOT_WRITABLE = new Set(['EROFS', 'EACCES', 'EPERM', 'ENOENT', 'EBUSY', 'ENOSPC', 'EXDEV']);

/**
 * Runs an action that writes, and explains its failure.
 * @param what the failure as a sentence: `the state in /run/wireguard-ts cannot be written`
 * @param fix the remedy
 * @throws Error with `code` EWRITE and the cause in its message; other errors unchanged
 */
export function explained<T>(action: () => T, what: string, fix: string): T {
  try {
    return action();
  } catch (error) {
    const { code, message } = error as NodeJS.ErrnoException;
    throw NOT_WRITABLE.has(code ?? '') ? problem('EWRITE', `${what} (${message}): ${fix}`) : error;
  }
}
