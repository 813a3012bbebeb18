/**
 * Programs that tests build once for all runs, in the user's cache folder. With two workers one
 * builds and the other waits.
 */
import { existsSync, mkdirSync, mkdtempSync, renameSync, rmSync } from 'node:fs';
import { homedir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { lock } from '../../scripts/lock.mjs';

const TEMPORARY = fileURLToPath(new URL('../../.made/', import.meta.url));

/**
 * Creates a folder in this clone, two levels deep, which git, npm and the tests of the rules
 * ignore. The caller removes it.
 */
export function temporaryFolder(name: string): string {
  mkdirSync(TEMPORARY, { recursive: true });
  return mkdtempSync(`${TEMPORARY}${name}-`);
}

/**
 * Builds a program unless it is cached.
 * @param name the program's file name. @param build makes the program at the given path
 * @returns the path of the program
 */
export async function builtOnce(
  name: string,
  build: (program: string) => void | Promise<void>,
  folder = join(process.env['XDG_CACHE_HOME'] ?? join(homedir(), '.cache'), 'wireguard-ts', 'bin'),
): Promise<string> {
  const program = join(folder, name);
  if (existsSync(program)) return program;
  const unlock = await lock(folder);
  try {
    if (existsSync(program)) return program;
    // An interrupted build must not leave a broken program.
    const part = mkdtempSync(join(folder, 'part-'));
    try {
      await build(join(part, name));
      renameSync(join(part, name), program);
    } finally {
      rmSync(part, { recursive: true, force: true });
    }
    return program;
  } finally {
    await unlock();
  }
}
