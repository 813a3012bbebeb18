/** Finds the control groups (cgroups(7)) of this process, of version 1 or 2. */
import { readFileSync } from 'node:fs';

/** Returns a file's text, or undefined if it cannot be read. */
export type ReadText = (path: string) => string | undefined;

/** A group of this process, or one above. */
export interface ControlGroup {
  readonly version: 1 | 2;
  readonly folder: string;
}

const ROOT = '/sys/fs/cgroup';

/** Iterates over the groups whose settings of a controller hold for this process. */
export function* controlGroups(controller: 'memory' | 'cpu', read: ReadText = readText): Iterable<ControlGroup> {
  for (const line of (read('/proc/self/cgroup') ?? '').split('\n')) {
    const [, controllers, path] = /^\d+:([^:]*):(\/.*)$/.exec(line) ?? [];
    if (path === undefined) continue;
    if (controllers === '') for (const folder of folders(ROOT, path)) yield { version: 2, folder };
    else if (controllers?.split(',').includes(controller))
      for (const folder of folders(`${ROOT}/${controller}`, path)) yield { version: 1, folder };
  }
}

/**
 * Returns the folders of a group and of all above it. In a container the path may be the host's, of
 * which only the end of the walk exists: the folder that is mounted there.
 */
function folders(root: string, path: string): string[] {
  const parts = path.split('/').filter(part => part !== '' && part !== '..');
  return Array.from({ length: parts.length + 1 }, (_, up) => [root, ...parts.slice(0, parts.length - up)].join('/'));
}

/** Reads a text, or returns undefined. */
export function readText(path: string): string | undefined {
  try {
    return readFileSync(path, 'latin1');
  } catch {
    return undefined;
  }
}
