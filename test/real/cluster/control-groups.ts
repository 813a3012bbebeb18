/**
 * The control groups of one machine: a group of its own in every hierarchy, below which its kubelet
 * makes those of pods. Without it, the kubelets of one host would end each other's pods.
 */
import { existsSync, mkdirSync, readdirSync, readFileSync, rmdirSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { sleep } from '../../netns/command.ts';

const MOUNT = '/sys/fs/cgroup';
const ATTEMPTS = 50;
const PAUSE_MS = 100;

export class ControlGroups {
  /** The group's path in each hierarchy, from its root. */
  readonly path: string;

  constructor(path: string) {
    this.path = `/${path}`;
  }

  create(): void {
    for (const folder of this.#folders()) {
      mkdirSync(folder, { recursive: true });
      // A new group of cpuset has neither processors nor memory until it gets its parent's.
      for (const at of [dirname(folder), folder])
        for (const name of ['cpuset.cpus', 'cpuset.mems']) {
          const file = join(at, name);
          if (existsSync(file) && readFileSync(file, 'utf8').trim() === '')
            writeFileSync(file, readFileSync(join(dirname(at), name), 'utf8'));
        }
    }
  }

  /** Returns the folder of a group below, by its last name. @param controller such as memory */
  find(controller: string, name: string): string {
    const top = this.#folders().find(folder => folder.startsWith(join(MOUNT, controller))) ?? this.#folders()[0]!;
    const below = readdirSync(top, { recursive: true, encoding: 'utf8' }).find(path => path.endsWith(`/${name}`));
    if (below === undefined) throw new Error(`${top} has no group ${name}`);
    return join(top, below);
  }

  /** Removes the groups, after the machine's processes have ended. */
  async remove(): Promise<void> {
    for (const folder of this.#folders())
      for (let attempt = 1; !removed(folder) && attempt < ATTEMPTS; attempt++) await sleep(PAUSE_MS);
  }

  #folders(): readonly string[] {
    // Version 1 has a folder for each controller; version 2 is one hierarchy.
    const hierarchies = existsSync(join(MOUNT, 'cgroup.controllers'))
      ? ['.']
      : readdirSync(MOUNT, { withFileTypes: true }).flatMap(entry => (entry.isDirectory() ? [entry.name] : []));
    return hierarchies.map(name => join(MOUNT, name, this.path));
  }
}

/** Removes a group in every hierarchy, with the groups in it, after its processes have ended. */
export async function removeGroups(name: string): Promise<void> {
  await new ControlGroups(name).remove();
}

/** Removes a group and the groups in it. @returns whether it is gone; processes may still end */
function removed(folder: string): boolean {
  if (!existsSync(folder)) return true;
  for (const entry of readdirSync(folder, { withFileTypes: true }))
    if (entry.isDirectory()) removed(join(folder, entry.name));
  try {
    rmdirSync(folder);
    return true;
  } catch {
    return false;
  }
}
