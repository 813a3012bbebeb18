/**
 * Imitates Felix beside the agent on one node (docs/reference/calico-felix.md#cleanup, #bootstrap,
 * #when-felix-clears-it), but faster: each time it deletes the link of its own name, empties its
 * table, removes the rules to it, and clears the key. The real Felix does the first three every 90
 * s, and the last at each start.
 */
import { sleep } from '../netns/command.ts';
import type { ClusterLab, LabNode } from './lab.ts';
import { KEY } from './objects.ts';

const LINK = 'wireguard.cali';
const TABLE = 1;

/** At most a third of the minimum time between two full turns of the agent. */
export const KEY_BACK_MS = 30_000;

export interface Meddled {
  /** When it cleared the key, as Unix time in milliseconds, and how long until the key was back. */
  readonly cleared: readonly { readonly at: number; readonly back: number }[];
}

/** @param times number of rounds, one second apart */
export async function meddle(lab: ClusterLab, node: LabNode, times: number): Promise<Meddled> {
  const cleared: { at: number; back: number }[] = [];
  const { namespace, index } = node;
  for (let i = 0; i < times; i++) {
    const began = Date.now();
    // Resources for Felix to remove.
    await namespace.ip(`link add ${LINK} type bridge`, `rule add priority 98 lookup ${TABLE}`);
    await namespace.ip(`link set ${LINK} up`, `route add 192.0.2.0/24 dev ${LINK} table ${TABLE}`);
    await namespace.ip(`link del ${LINK}`, `rule del lookup ${TABLE}`, `route flush table ${TABLE}`);
    const at = Date.now();
    await lab.annotate(index, { [KEY[4]]: null });
    while ((await lab.keyOf(index)) === undefined && Date.now() - at < KEY_BACK_MS) await sleep(10);
    cleared.push({ at, back: Date.now() - at });
    await sleep(Math.max(0, began + 1000 - Date.now()));
  }
  return { cleared };
}
