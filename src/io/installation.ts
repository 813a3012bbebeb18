/**
 * Finds the files of this program, and the command to start it again, in each form of distribution:
 *
 * - A clone, an npm package or the image: Node runs `dist/program/NAME.cjs` (scripts/bundle.mjs),
 *   or `dist/cli/NAME.js` without a bundle.
 * - A single executable (scripts/package/executable.mjs): one file contains Node and both programs,
 *   and argv[0] chooses between them.
 *
 * No other file knows these paths.
 */
import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { getAsset, isSea } from 'node:sea';
import { fileURLToPath } from 'node:url';
import { INSPECTOR_OFF } from './inspector-off.ts';

export type ProgramName = 'wgts' | 'wireguard-ts';

export interface ProgramStart {
  readonly file: string;
  /** Arguments before the program's own. */
  readonly args: readonly string[];
  /** The argv[0] by which a single executable chooses its program. */
  readonly argv0: string;
}

/** True in a single executable. */
export const isExecutable = isSea();

/**
 * Returns the command that starts a program of this installation with the current Node and its
 * options.
 * @throws Error if the installation has no such program
 */
export function programStart(name: ProgramName): ProgramStart {
  if (isExecutable) return { file: process.execPath, args: [], argv0: name };
  const { execArgv } = process;
  const options = execArgv.some(argument => argument.startsWith('--inspect')) ? execArgv : [INSPECTOR_OFF, ...execArgv];
  return { file: process.execPath, args: [...options, programFile(name)], argv0: process.execPath };
}

/**
 * Returns the text of a file, given by its path from the root of the package. A single executable
 * holds some files as assets.
 */
export function installedText(path: string): string {
  return isExecutable ? getAsset(path, 'utf8') : readFileSync(join(packageRoot(), path), 'utf8');
}

/** Returns the version in package.json. */
export function version(): string {
  return (JSON.parse(installedText('package.json')) as { version: string }).version;
}

/**
 * Returns the folder that contains package.json. src/io, dist/io and dist/program are equally deep
 * in it.
 */
export function packageRoot(): string {
  return fileURLToPath(new URL('../..', import.meta.url));
}

function programFile(name: ProgramName): string {
  const files = [`dist/program/${name}.cjs`, `dist/cli/${name}.js`].map(path => join(packageRoot(), path));
  const found = files.find(path => existsSync(path));
  if (found === undefined)
    throw new Error(`neither ${files.join(' nor ')} is there; install wireguard-ts again (in a clone: npm run build)`);
  return found;
}
