/**
 * What an agent does before it asks the leader to step down: it reads the cluster and plans, but
 * applies and publishes nothing. An agent that cannot read the cluster, or whose options cannot be
 * used, so never replaces one that works.
 */

import type { Closable, Snapshot } from '../../datastore/datastore.ts';
import type { PerFamily } from '../../model/cluster.ts';
import { Planner } from '../../plan/planner.ts';
import { type AgentDependencies, type AgentOptions, planInput } from '../dependencies.ts';
import { unusableReasons } from '../status.ts';

type RehearsalDependencies = Pick<AgentDependencies, 'datastore' | 'machine' | 'warn'>;

/** Resolves once there is a plan that this agent could apply, or when it is aborted. */
export async function rehearse(
  options: AgentOptions,
  { datastore, machine, warn }: RehearsalDependencies,
  signal: AbortSignal,
): Promise<void> {
  const planner = new Planner();
  let latest: Snapshot | undefined;
  let isDone = false;
  let said = '';
  let wake = (): void => {};
  const onAbort = (): void => wake();
  signal.addEventListener('abort', onAbort);
  const listener = (snapshot: Snapshot): void => {
    latest = snapshot;
    wake();
  };
  let watch: Closable = datastore.watch(listener);
  try {
    let wantsPods = false;
    while (!signal.aborted && !isDone) {
      const snapshot = latest;
      latest = undefined;
      let reasons = snapshot ? [snapshot.stale ?? 'the cluster is still being read'] : [];
      if (snapshot?.synced) {
        const plan = planner.plan(await planInput(options, machine, snapshot, ownPublicKeys(machine)));
        reasons = unusableReasons(plan);
        if (plan.wantsPods && !wantsPods) {
          wantsPods = true;
          datastore.wantPods(true);
          // This snapshot lacks the pods; the next ones are complete only with them.
          watch.close();
          latest = undefined;
          watch = datastore.watch(listener);
        } else isDone = reasons.length === 0;
      }
      const text = reasons.join('; ');
      if (snapshot?.synced && text !== '' && text !== said) warn(`not taking over yet: ${text}`);
      said = text;
      if (!isDone && !latest && !signal.aborted)
        await new Promise<void>(resolve => {
          wake = resolve;
        });
    }
  } finally {
    watch.close();
    signal.removeEventListener('abort', onAbort);
  }
}

/** Unreadable key files are reported by the applier, once this agent leads. */
function ownPublicKeys(machine: AgentDependencies['machine']): PerFamily<Uint8Array> {
  const keys: [number, Uint8Array][] = [];
  for (const family of [4, 6] as const)
    try {
      const key = machine.ownPublicKey(family);
      if (key) keys.push([family, key]);
    } catch {
      // Without its own key, a plan only lacks one check.
    }
  return Object.fromEntries(keys) as PerFamily<Uint8Array>;
}
