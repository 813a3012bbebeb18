// The user's cache folder, in which compilers, and Nodes for other processors, are installed once.
import { existsSync, mkdirSync, mkdtempSync, renameSync, rmSync } from 'node:fs';
import { homedir } from 'node:os';
import { join } from 'node:path';

export const CACHE = join(process.env.XDG_CACHE_HOME || join(homedir(), '.cache'), 'wireguard-ts');

/**
 * Installs a folder into the cache, unless it exists. Concurrent calls are safe: each installs into
 * a separate folder, and the first one to finish renames its folder into place.
 * @param name the folder's name, which includes the version of its content
 * @param program path of the program inside the folder
 * @param install receives an empty folder to install into
 * @returns the path of the program
 */
export function installedOnce(name, program, install) {
  const folder = join(CACHE, name);
  const path = join(folder, program);
  if (existsSync(path)) return path;
  mkdirSync(CACHE, { recursive: true });
  const part = mkdtempSync(join(CACHE, 'part-'));
  try {
    install(part);
    try {
      renameSync(part, folder);
    } catch (failure) {
      // Another process was faster.
      if (!existsSync(path)) throw failure;
    }
    return path;
  } finally {
    rmSync(part, { recursive: true, force: true });
  }
}
