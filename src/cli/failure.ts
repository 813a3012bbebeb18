/**
 * Formats the message of a failed command: one sentence that says what happened and what to do.
 * This module is loaded only after a failure.
 */
import { getSystemErrorMap } from 'node:util';
import { ConfigError, quote } from '../config/errors.ts';

const FAULTS = [TypeError, RangeError, ReferenceError, SyntaxError];
const NODE_ERROR = /\b(E[A-Z0-9]+): ([a-z][a-z -]+), [a-z]+(?: '([^']*)')?/g;
/** Longer words, which are mostly file names, are truncated. */
const LONGEST_WORD = 200;

/**
 * Returns whether an error is meant for people: it comes from the system or from our own checks. An
 * exception of JavaScript or Node comes from a bug of ours.
 */
export function isExpected(error: unknown): error is Error {
  if (!(error instanceof Error) || FAULTS.some(fault => error instanceof fault)) return false;
  const { code } = error as NodeJS.ErrnoException;
  return !(typeof code === 'string' && code.startsWith('ERR_'));
}

/**
 * Formats an expected error. @param retry the command to run again as root if a right is missing
 */
export function failureMessage(error: Error, retry: string): string {
  const text = plainSystemErrors(describe(error));
  const lacksRight = /\b(EPERM|EACCES)\b/.test(text);
  const isRoot = process.geteuid?.() === 0;
  const hint =
    !lacksRight || /\broot\b|CAP_[A-Z]+/.test(text)
      ? ''
      : isRoot
        ? '; root is not enough here: a sandbox, a read-only file system or a container without CAP_NET_ADMIN refuses it'
        : `; run it as root: sudo ${retry} ...`;
  return cut(`${text}${hint}`);
}

/** Formats an unexpected error, which is a bug of ours. */
export function bugMessage(error: unknown, program: string, isDebugging: boolean): string {
  const text = error instanceof Error ? `${error.name}: ${error.message}` : String(error);
  const stack = isDebugging && error instanceof Error ? `${error.stack}\n` : '';
  return (
    `${program}: internal error: ${cut(text)}\n` +
    `This is a bug. Please report it, with the command line and the output of: ${program} --version --verbose\n` +
    (isDebugging ? stack : 'With WGTS_DEBUG=1, the message also shows where the error happened.\n')
  );
}

function describe(error: Error): string {
  if (!(error instanceof ConfigError) || error.code !== 'refused') return error.message;
  // A device answers only with an errno.
  const [name, text] = getSystemErrorMap().get(-error.errno) ?? [];
  return name === undefined ? error.message : `the device refused: ${text} (${name})`;
}

/**
 * Rewrites Node's "ENOENT: no such file or directory, open '/a/file'" wherever it occurs in a text.
 */
function plainSystemErrors(text: string): string {
  return text.replace(NODE_ERROR, (_, code: string, reason: string, path: string | undefined, offset: number) => {
    const isNamed = path === undefined || text.slice(0, offset).includes(path);
    return `${isNamed ? '' : `${quote(path)}: `}${reason} (${code})`;
  });
}

function cut(text: string): string {
  return text.replace(/[^\s]{201,}/g, word => `${word.slice(0, LONGEST_WORD)}...`);
}
