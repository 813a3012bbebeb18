/**
 * Finds the processes that run devices of this program on this machine, by their command lines.
 * Processes of other PID namespaces are invisible.
 */
import { readdirSync, readFileSync } from 'node:fs';
import { type ProcessRights, readRights } from './process-rights.ts';

export interface RunningDevice {
  /** The interface's name. */
  readonly name: string;
  readonly pid: number;
  readonly rights: ProcessRights;
}

/** @param names interfaces that have a control socket */
export function runningDevices(names: ReadonlySet<string>): RunningDevice[] {
  return namesIn('/proc')
    .filter(entry => /^[0-9]+$/.test(entry))
    .flatMap(entry => {
      const pid = Number(entry);
      const name = deviceOf(pid, names);
      const rights = name === undefined ? undefined : readRights(pid);
      return name === undefined || !rights ? [] : [{ name, pid, rights }];
    });
}

/** Returns the names of the control sockets in a folder. */
export function socketNames(folder: string): Set<string> {
  return new Set(namesIn(folder).flatMap(file => /^(.+)\.sock$/.exec(file)?.[1] ?? []));
}

/** Returns the interface that a process was started for; undefined for another program. */
function deviceOf(pid: number, names: ReadonlySet<string>): string | undefined {
  const words = commandLineOf(pid);
  const program = words.findIndex(word => /(^|\/)wireguard-ts(\.c?js)?$/.test(word));
  // the program, or the Node that runs it: not a shell or an editor that got the words
  if (program < 0 || (program > 0 && !/(^|\/)node$/.test(words[0]!))) return undefined;
  return words.slice(program + 1).find(word => names.has(word));
}

function commandLineOf(pid: number): string[] {
  try {
    return readFileSync(`/proc/${pid}/cmdline`, 'utf8').split('\0');
  } catch {
    // the process has ended
    return [];
  }
}

function namesIn(path: string): string[] {
  try {
    return readdirSync(path);
  } catch {
    return [];
  }
}
