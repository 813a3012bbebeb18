/**
 * The memory limit of this process's control group (cgroups(7)), of version 1 or 2, and what the
 * group uses of it. A limit of any group above counts too. RLIMIT_AS is ignored: V8 reserves far
 * more addresses than it uses.
 */
import { totalmem } from 'node:os';
import { controlGroups, type ReadText, readText } from './control-groups.ts';

export interface MemoryLimit {
  readonly bytes: number;
  /** The folder of the group that sets it, for people. */
  readonly group: string;
  /** Returns the bytes that the group uses and the kernel could not simply drop. */
  used(): number | undefined;
}

interface Version {
  readonly limits: readonly string[];
  readonly usage: string;
  /** The line of memory.stat with file pages that the kernel drops first. */
  readonly droppable: string;
}

const V2: Version = {
  limits: ['memory.max', 'memory.high'],
  usage: 'memory.current',
  droppable: 'inactive_file',
};
const V1: Version = {
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
  for (const { version: generation, folder } of controlGroups('memory', read)) {
    const version = generation === 2 ? V2 : V1;
    for (const name of version.limits) {
      // "max" is no number; version 1 writes a number beyond any memory
      const bytes = numberOf(read(`${folder}/${name}`));
      if (bytes === undefined || bytes >= (lowest?.bytes ?? machineBytes)) continue;
      lowest = { bytes, group: folder, used: () => used(read, version, folder) };
    }
  }
  return lowest;
}

function used(read: ReadText, version: Version, folder: string): number | undefined {
  const usage = numberOf(read(`${folder}/${version.usage}`));
  if (usage === undefined) return undefined;
  const line = (read(`${folder}/memory.stat`) ?? '').split('\n').find(one => one.startsWith(`${version.droppable} `));
  return Math.max(0, usage - (numberOf(line?.split(' ')[1]) ?? 0));
}

function numberOf(text: string | undefined): number | undefined {
  return text !== undefined && /^\d+\s*$/.test(text) ? Number(text) : undefined;
}
