/**
 * Runs the hooks of a file as wg-quick does: each in a separate bash(1) with `-e` and `pipefail`,
 * with INTERFACE and CONFIG_FILE set. Without bash, sh(1) runs the hooks. sh does not notice every
 * failure, so there is a warning.
 */
import { type ChildProcess, spawn } from 'node:child_process';
import { realpathSync } from 'node:fs';
import type { HookContext } from '../quick/ports.ts';
import { problem } from '../quick/problem.ts';
import { ending } from './child.ts';
import { findProgram } from './program.ts';

export interface Shell {
  readonly path: string;
  /** Text that is put in front of the hook. */
  readonly args: readonly string[];
  /** Whether the shell notices the failure of a program that is not the last one of a pipe. */
  readonly hasPipefail: boolean;
}

/**
 * The function and eval make `return` and `local` work, as in wg-quick. The subshell, also from
 * wg-quick, avoids an error message of bash 5.2 (pop_var_context) if `-e` ends the shell inside a
 * function.
 */
const BODY = '_wgts_hook() { (eval "$1"); }; _wgts_hook "$1"';
const PIPE = /(?<!\|)\|(?!\|)/;
/**
 * Runs one hook to its end, with our input and output. Does not wait for processes that the hook
 * leaves in the background.
 * @throws Error with the hook and its status
 */
export async function runHook(
  command: string,
  { name, file }: HookContext,
  warn: (text: string) => void,
  shell?: Shell,
): Promise<void> {
  const { path, args, hasPipefail } = shell ?? (await findShell());
  if (!hasPipefail && PIPE.test(command))
    warn(
      `the hook \`${command}' has a pipe, and ${path} cannot say whether a program before the last one failed; install bash`,
    );
  // LC_ALL: hooks parse the output of programs in the language they were written for
  const env = { ...process.env, LC_ALL: 'C', INTERFACE: name, CONFIG_FILE: realPath(file) };
  let child: ChildProcess;
  try {
    child = spawn(path, [...args, command], { stdio: 'inherit', env });
  } catch (error) {
    throw problem('EPROGRAM', `the hook \`${command}' cannot be run: ${(error as Error).message}`);
  }
  const how = await ending(child);
  if (how !== undefined) throw problem('EPROGRAM', `the hook \`${command}' ended with ${how}`);
}

/**
 * Finds the shell for hooks.
 * @returns bash if it is on the PATH, otherwise sh with the options that it supports
 */
export async function findShell(searched?: string, sh = '/bin/sh'): Promise<Shell> {
  const bash = findProgram('bash', searched);
  if (bash !== undefined)
    return { path: bash, args: ['-e', '-o', 'pipefail', '-O', 'extglob', '-c', BODY, 'bash'], hasPipefail: true };
  // busybox supports pipefail, dash in Debian 12 does not
  const probe = spawn(sh, ['-c', 'set -o pipefail'], { stdio: 'ignore' });
  const hasPipefail = (await ending(probe)) === undefined;
  return { path: sh, args: ['-e', ...(hasPipefail ? ['-o', 'pipefail'] : []), '-c', BODY, 'sh'], hasPipefail };
}

/** Returns the path with all symbolic links resolved, as wg-quick does. */
function realPath(file: string): string {
  try {
    return realpathSync(file);
  } catch {
    return file;
  }
}
