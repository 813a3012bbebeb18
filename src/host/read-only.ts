/**
 * Explains failed writes: in containers much of the file system is read-only, or mounted file by
 * file.
 */
import { problem } from '../quick/problem.ts';

/**
 * Node reports ENOENT for a folder on a read-only file system; the kernel reports EBUSY for a file
 * that is a mount point.
 */
const NOT_WRITABLE = new Set(['EROFS', 'EACCES', 'EPERM', 'ENOENT', 'EBUSY', 'ENOSPC', 'EXDEV']);

/**
 * Runs an action that writes, and explains its failure.
 * @param what the failure: `the state in /run/wireguard-ts cannot be written`
 * @param fix the remedy
 * @throws Error with `code` EWRITE and the cause in its message; any other error unchanged
 */
export function explained<T>(action: () => T, what: string, fix: string): T {
  try {
    return action();
  } catch (error) {
    const { code, message } = error as NodeJS.ErrnoException;
    throw NOT_WRITABLE.has(code ?? '') ? problem('EWRITE', `${what} (${message}): ${fix}`) : error;
  }
}
