/** The processes of this program that run an interface, and how they were started. */
import { readdirSync, readFileSync, readlinkSync } from 'node:fs';
import { basename } from 'node:path';
import { handOverPath } from '../daemon/hand-over-server.ts';
import { uapiSocketPath } from '../daemon/uapi-socket.ts';
import { RightsSocket } from '../io/rights.ts';

export interface RunningDeviceProcess {
  readonly pid: number;
  /** The words after the name of the program. */
  readonly args: readonly string[];
  readonly env: Readonly<Record<string, string>>;
  /** Whether it runs in this process's network namespace. */
  readonly isHere: boolean;
}

const SUFFIX = '.handover';

/** Returns the names of the interfaces that offer a hand-over. */
export function handOverNames(): string[] {
  const folder = handOverPath(uapiSocketPath('')).slice(0, -SUFFIX.length);
  try {
    return readdirSync(folder)
      .filter(name => name.endsWith(SUFFIX))
      .map(name => basename(name, SUFFIX))
      .sort();
  } catch {
    return [];
  }
}

/**
 * Returns the process that runs an interface; undefined if none offers a hand-over.
 * @throws Error with `code` if its command line cannot be read
 */
export function findDeviceProcess(name: string): RunningDeviceProcess | undefined {
  const pid = pidOf(name);
  if (pid === undefined) return undefined;
  const words = wordsOf(`/proc/${pid}/cmdline`);
  const program = words.findIndex(word => /^wireguard-ts(\.c?js)?$/.test(basename(word)));
  const env = wordsOf(`/proc/${pid}/environ`).map(word => [
    word.slice(0, word.indexOf('=')),
    word.slice(word.indexOf('=') + 1),
  ]);
  return {
    pid,
    args: words.slice(program + 1),
    env: Object.fromEntries(env),
    isHere: readlinkSync(`/proc/${pid}/ns/net`) === readlinkSync('/proc/self/ns/net'),
  };
}

/** Returns the pid of the process that listens for a hand-over of an interface. */
export function pidOf(name: string): number | undefined {
  try {
    const socket = RightsSocket.connect(handOverPath(uapiSocketPath(name)));
    socket.close();
    return socket.peer.pid;
  } catch {
    return undefined;
  }
}

function wordsOf(path: string): string[] {
  return readFileSync(path, 'utf8').split('\0').slice(0, -1);
}
