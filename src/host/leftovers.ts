/**
 * Finds what processes that died left on this machine: links without a process, and recorded states
 * without a link.
 */
import { readdirSync } from 'node:fs';
import { isInterfaceName } from '../base/interface-name.ts';
import { Network } from '../netlink/network.ts';
import { isOrphan } from '../netlink/orphan.ts';
import type { NetlinkPort } from '../netlink/port.ts';
import { RUN_FOLDER, statePath } from './run-state.ts';

export interface Leftovers {
  /** Links of ours whose process died. They keep their addresses and routes. */
  readonly orphans: readonly string[];
  /** Interfaces that `wgts up` made, and that no longer exist. Rules and DNS may be left. */
  readonly lost: readonly string[];
}

/** Looks in this network namespace. A machine that does not answer over netlink has none. */
export async function findLeftovers(port: NetlinkPort): Promise<Leftovers> {
  try {
    const network = new Network(port);
    try {
      const links = await network.links.list();
      const there = new Set(links.map(({ name }) => name));
      return {
        orphans: links.filter(isOrphan).map(({ name }) => name),
        lost: recordedNames().filter(name => !there.has(name)),
      };
    } finally {
      network.close();
    }
  } catch {
    return { orphans: [], lost: [] };
  }
}

/** Returns the interfaces for which this namespace has a state file. */
function recordedNames(): string[] {
  let files: string[];
  try {
    files = readdirSync(RUN_FOLDER);
  } catch {
    return [];
  }
  return files.flatMap(file => {
    const [, name = ''] = /^(.+)\.[0-9]+\.json$/.exec(file) ?? [];
    return isInterfaceName(name) && statePath(name) === `${RUN_FOLDER}/${file}` ? [name] : [];
  });
}
