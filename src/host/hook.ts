/**
 * The hooks of a file, run as wg-quick runs them: by bash(1) with `-e` and `pipefail`, each in a shell of its own, with INTERFACE and
 * CONFIG_FILE set. Without bash they are run by sh(1), which does not notice every failure; that is said.
 */
import { type ChildProcess, spawn } from 'node:child_process';
import { realpathSync } from 'node:fs';
import type { HookContext } from '../quick/ports.ts';
import { problem } from '../quick/problem.ts';
import { ending } from './child.ts';
import { findProgram } from './program.ts';

export interface Shell {
  readonly path: string;
  /** Before the hook's own text. */
  readonly args: readonly string[];
  /** A program that fails before the last of a pipe is noticed. */
  readonly hasPipefail: boolean;
}

/**
 * In a function and by eval, as in wg-quick: `return` and `local` have a meaning there. In a subshell, also as there: bash 5.2
 * prints an error of its own (pop_var_context) where `-e` ends it inside a function.
 */
const BODY = '_wgts_hook() { (eval "$1"); }; _wgts_hook "$1"';
const PIPE = /(?<!\|)\|(?!\|)/;
/**
 * Runs one hook to its end; its input and output are ours. What it leaves in the background is not waited for.
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
  // LC_ALL: what hooks read of other programs' output is in the language that they were written for
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

/** @returns bash where it is on the PATH, else sh with as much of the same as it has */
export async function findShell(searched?: string, sh = '/bin/sh'): Promise<Shell> {
  const bash = findProgram('bash', searched);
  if (bash !== undefined)
    return { path: bash, args: ['-e', '-o', 'pipefail', '-O', 'extglob', '-c', BODY, 'bash'], hasPipefail: true };
  // busybox has it, the dash of Debian 12 does not
  const probe = spawn(sh, ['-c', 'set -o pipefail'], { stdio: 'ignore' });
  const hasPipefail = (await ending(probe)) === undefined;
  return { path: sh, args: ['-e', ...(hasPipefail ? ['-o', 'pipefail'] : []), '-c', BODY, 'sh'], hasPipefail };
}

/** As wg-quick has it: without links on the way. */
function realPath(file: string): string {
  try {
    return realpathSync(file);
  } catch {
    return file;
  }
}
