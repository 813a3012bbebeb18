// The user's cache folder, and what is installed there once: compilers, and Nodes for other processors.
import { existsSync, mkdirSync, mkdtempSync, renameSync, rmSync } from 'node:fs';
import { homedir } from 'node:os';
import { join } from 'node:path';

export const CACHE = join(process.env.XDG_CACHE_HOME || join(homedir(), '.cache'), 'wireguard-ts');

/**
 * Installs a folder into the cache, unless it is there. Two at once are safe: each installs into a folder of its own, and the first to
 * finish renames it into place.
 * @param name of the folder, with the version of what is in it
 * @param program path in the folder of the program that is wanted
 * @param install gets an empty folder to install into
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
      // another process was faster
      if (!existsSync(path)) throw failure;
    }
    return path;
  } finally {
    rmSync(part, { recursive: true, force: true });
  }
}
