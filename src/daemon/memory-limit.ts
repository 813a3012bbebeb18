/**
 * The memory limit of this process's control group (cgroups(7)), of version 1 or 2, and what the
 * group uses of it. A limit of any group above counts too. RLIMIT_AS is ignored: V8 reserves far
 * more addresses than it uses.
 */
import { readFileSync } from 'node:fs';
import { totalmem } from 'node:os';

/** Returns a file's text, or undefined if it cannot be read. */
export type ReadText = (path: string) => string | undefined;

export interface MemoryLimit {
  readonly bytes: number;
  /** The folder of the group that sets it, for people. */
  readonly group: string;
  /** Returns the bytes that the group uses and the kernel could not simply drop. */
  used(): number | undefined;
}

interface Version {
  readonly root: string;
  readonly limits: readonly string[];
  readonly usage: string;
  /** The line of memory.stat with file pages that the kernel drops first. */
  readonly droppable: string;
}

const V2: Version = {
  root: '/sys/fs/cgroup',
  limits: ['memory.max', 'memory.high'],
  usage: 'memory.current',
  droppable: 'inactive_file',
};
const V1: Version = {
  root: '/sys/fs/cgroup/memory',
  limits: ['memory.limit_in_bytes'],
  usage: 'memory.usage_in_bytes',
  droppable: 'total_inactive_file',
};

/**
 * Returns the lowest limit that holds for this process.
 * @returns undefined if none is below the machine's memory
 */
export function memoryLimit(read: ReadText = readText, machineBytes = totalmem()): MemoryLimit | undefined {
  let lowest: MemoryLimit | undefined;
  for (const line of (read('/proc/self/cgroup') ?? '').split('\n')) {
    const [, controllers, path] = /^\d+:([^:]*):(\/.*)$/.exec(line) ?? [];
    const version = controllers === '' ? V2 : controllers?.split(',').includes('memory') ? V1 : undefined;
    if (!version || path === undefined) continue;
    for (const folder of folders(version.root, path))
      for (const name of version.limits) {
        // "max" is no number; version 1 writes a number beyond any memory
        const bytes = number(read(`${folder}/${name}`));
        if (bytes === undefined || bytes >= (lowest?.bytes ?? machineBytes)) continue;
        lowest = { bytes, group: folder, used: () => used(read, version, folder) };
      }
  }
  return lowest;
}

/**
 * Returns the folders of a group and of all above it. In a container the path may be the host's, of
 * which only the end of the walk exists: the folder that is mounted there.
 */
export function folders(root: string, path: string): string[] {
  const parts = path.split('/').filter(part => part !== '' && part !== '..');
  return Array.from({ length: parts.length + 1 }, (_, up) => [root, ...parts.slice(0, parts.length - up)].join('/'));
}

function used(read: ReadText, version: Version, folder: string): number | undefined {
  const usage = number(read(`${folder}/${version.usage}`));
  if (usage === undefined) return undefined;
  const line = (read(`${folder}/memory.stat`) ?? '').split('\n').find(one => one.startsWith(`${version.droppable} `));
  return Math.max(0, usage - (number(line?.split(' ')[1]) ?? 0));
}

function number(text: string | undefined): number | undefined {
  return text !== undefined && /^\d+\s*$/.test(text) ? Number(text) : undefined;
}

export function readText(path: string): string | undefined {
  try {
    return readFileSync(path, 'latin1');
  } catch {
    return undefined;
  }
}
