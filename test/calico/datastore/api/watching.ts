/** A listener that waits until a snapshot meets a condition, with a timeout. */
import type { Datastore, Snapshot } from '../../../../src/calico/datastore/datastore.ts';
import { HANG_MS } from '../../../support/patience.ts';

export interface Watching {
  readonly snapshots: readonly Snapshot[];
  /** Resolves with the first snapshot, from the latest one on, that meets the condition. */
  until(what: (snapshot: Snapshot) => boolean, within?: number): Promise<Snapshot>;
}

export function watching(datastore: Datastore): Watching {
  const snapshots: Snapshot[] = [];
  const waiting = new Set<() => void>();
  datastore.watch(snapshot => {
    snapshots.push(snapshot);
    for (const each of [...waiting]) each();
  });
  return {
    snapshots,
    until: (what, within = HANG_MS) =>
      new Promise((resolve, reject) => {
        const look = (): void => {
          const last = snapshots.at(-1);
          if (!last || !what(last)) return;
          waiting.delete(look);
          clearTimeout(timer);
          resolve(last);
        };
        const timer = setTimeout(() => {
          waiting.delete(look);
          const { synced, stale, problems, cluster } = snapshots.at(-1) ?? {};
          const last = JSON.stringify({ synced, stale, problems, nodes: [...(cluster?.nodes.keys() ?? [])] });
          reject(new Error(`not in ${within} ms: ${what}; the last snapshot is ${last.slice(0, 2000)}`));
        }, within);
        waiting.add(look);
        look();
      }),
  };
}
