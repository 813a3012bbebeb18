/** The processes of this program that run an interface, and how they were started. */
import { readdirSync, readFileSync, readlinkSync } from 'node:fs';
import { basename, dirname } from 'node:path';
import { codedError } from '../base/coded-error.ts';
import { pidOf } from '../daemon/device-owner.ts';
import { DEVICE_VARIABLES, START_VARIABLES } from '../daemon/device-settings.ts';
import { handOverPath, uapiSocketPath } from '../daemon/uapi-socket.ts';

export interface RunningDeviceProcess {
  readonly pid: number;
  /** The words after the name of the program. */
  readonly args: readonly string[];
  readonly env: Readonly<Record<string, string>>;
}

/**
 * Returns the variables for a new process of a device that another process was started with: the
 * same ones, and none of those that this process has.
 * @param env the environment of the old process
 */
export function successorEnvironment(env: Readonly<Record<string, string>>): Record<string, string | undefined> {
  const ofDevice = DEVICE_VARIABLES.map(key => [key, env[key]]);
  return Object.fromEntries([...ofDevice, ...START_VARIABLES.map(key => [key, undefined])]);
}

/** Returns the names of the interfaces that offer a hand-over. */
export function handOverNames(): string[] {
  try {
    return readdirSync(dirname(handOverPath(uapiSocketPath('wg0')))).sort();
  } catch {
    return [];
  }
}

/**
 * Returns whether a process runs in this process's network namespace; undefined if that cannot be
 * read, which takes CAP_SYS_PTRACE.
 */
export function isHere(pid: number): boolean | undefined {
  try {
    return readlinkSync(`/proc/${pid}/ns/net`) === readlinkSync('/proc/self/ns/net');
  } catch {
    return undefined;
  }
}

/**
 * Returns how the process that runs an interface was started.
 * @param pid its process
 * @throws Error with `code` if that cannot be read, or the process has ended
 */
export function readDeviceProcess(name: string, pid: number): RunningDeviceProcess {
  const words = wordsOf(`/proc/${pid}/cmdline`);
  const program = words.findIndex(word => /^wireguard-ts(\.c?js)?$/.test(basename(word)));
  const env = wordsOf(`/proc/${pid}/environ`).map(word => [
    word.slice(0, word.indexOf('=')),
    word.slice(word.indexOf('=') + 1),
  ]);
  // a process that ended while it was read leaves its pid to others
  if (pidOf(name) !== pid) throw codedError('ESRCH', `process ${pid} no longer runs ${name}; try again`);
  return { pid, args: words.slice(program + 1), env: Object.fromEntries(env) };
}

function wordsOf(path: string): string[] {
  try {
    return readFileSync(path, 'utf8').split('\0').slice(0, -1);
  } catch (error) {
    const { code, message } = error as NodeJS.ErrnoException;
    if (code !== 'EACCES' && code !== 'EPERM') throw error;
    throw codedError(
      code,
      `${path} cannot be read (${message}): it takes CAP_SYS_PTRACE to see how the process was started`,
    );
  }
}
