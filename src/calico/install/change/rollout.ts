/** Changes a DaemonSet, and waits until all of its pods have the change. */
import { field, listField, type Resource, textField } from '../../model/resource.ts';
import { type ClusterApi, codeOf, find, list } from '../cluster/api.ts';
import { OWN_LABEL } from '../cluster/found.ts';
import { pathOf } from '../cluster/kinds.ts';
import { isSame } from './diff.ts';
import { MANAGER } from './ownership.ts';

export interface Patience {
  /** Milliseconds of a clock that is never set. */
  now(): number;
  sleep(milliseconds: number): Promise<unknown>;
  readonly timeoutMs: number;
  /** Reports the progress, in one line. */
  log(text: string): void;
}

const POLL_MS = 1_000;
const ATTEMPTS = 5;
const MOST_NAMES = 20;

/**
 * Changes the DaemonSet, unless it has the change already.
 * @returns whether the DaemonSet exists
 */
export async function changeDaemonSet(
  api: ClusterApi,
  object: Resource,
  change: (live: Resource) => Resource,
): Promise<boolean> {
  const path = pathOf(object);
  for (let attempt = 1; ; attempt++) {
    const live = await find(api, path);
    if (live === undefined) return false;
    const body = change({ ...object, ...(live as object) });
    if (isSame(live, body)) return true;
    try {
      await api.send({ method: 'PUT', path, query: { fieldManager: MANAGER }, body });
      return true;
    } catch (error) {
      if (codeOf(error) !== 'ESTALE' || attempt === ATTEMPTS) throw error;
    }
  }
}

/**
 * Waits for the pods.
 * @returns why they are not done after the time limit; undefined if they are
 */
export async function untilRolledOut(
  api: ClusterApi,
  object: Resource,
  patience: Patience,
): Promise<string | undefined> {
  const end = patience.now() + patience.timeoutMs;
  let said = '';
  for (;;) {
    const state = await readState(api, object);
    if (state === undefined) return undefined;
    const { isDone, text } = state;
    if (isDone) return undefined;
    if (patience.now() >= end) return `${text}${await describeStuckPods(api, object)}`;
    if (text !== said) patience.log(text);
    said = text;
    await patience.sleep(POLL_MS);
  }
}

interface State {
  readonly isDone: boolean;
  readonly text: string;
}

/**
 * Reads how far the pods are. An API server may be away for minutes, which must not end the wait.
 * @returns undefined if the DaemonSet is gone
 */
async function readState(api: ClusterApi, object: Resource): Promise<State | undefined> {
  try {
    const live = await find(api, pathOf(object));
    return live === undefined ? undefined : stateOf(live);
  } catch (error) {
    if (codeOf(error) !== 'EAGAIN') throw error;
    return { isDone: false, text: `the API server does not answer: ${(error as Error).message}` };
  }
}

function stateOf(daemonSet: unknown): State {
  const count = (name: string): number => Number(field(daemonSet, 'status', name) ?? 0);
  const generation = Number(field(daemonSet, 'metadata', 'generation') ?? 0);
  if (count('observedGeneration') < generation)
    return { isDone: false, text: 'kube-controller-manager has not seen the change of the DaemonSet yet' };
  const [wanted, updated, available] = [
    count('desiredNumberScheduled'),
    count('updatedNumberScheduled'),
    count('numberAvailable'),
  ];
  const done = Math.min(updated, available);
  return { isDone: done >= wanted, text: `${done} of ${wanted} nodes are done` };
}

/** Returns the pods of an agent's DaemonSet that are not ready. */
export async function unreadyPods(api: ClusterApi, { metadata }: Resource): Promise<readonly unknown[]> {
  const labelSelector = `${OWN_LABEL},app.kubernetes.io/component=agent`;
  const pods = await list(api, `/api/v1/namespaces/${metadata.namespace}/pods`, { labelSelector });
  return pods.filter(pod => !isReady(pod));
}

/** Names the nodes whose pods are not ready, and why. */
async function describeStuckPods(api: ClusterApi, agent: Resource): Promise<string> {
  let pods: readonly unknown[];
  try {
    pods = await unreadyPods(api, agent);
  } catch (error) {
    return `; its pods cannot be read: ${(error as Error).message}`;
  }
  const stuck = pods.map(pod => `${textField(pod, 'spec', 'nodeName') ?? 'no node'} (${reasonOf(pod)})`);
  if (stuck.length === 0) return '';
  const more = stuck.length > MOST_NAMES ? ` and ${stuck.length - MOST_NAMES} more` : '';
  return `; not ready on ${stuck.slice(0, MOST_NAMES).join(', ')}${more}`;
}

function isReady(pod: unknown): boolean {
  return listField(pod, 'status', 'conditions').some(
    each => textField(each, 'type') === 'Ready' && textField(each, 'status') === 'True',
  );
}

function reasonOf(pod: unknown): string {
  for (const kind of ['initContainerStatuses', 'containerStatuses'])
    for (const status of listField(pod, 'status', kind)) {
      const reason =
        textField(status, 'state', 'waiting', 'reason') ?? textField(status, 'state', 'terminated', 'reason');
      if (reason !== undefined && reason !== 'Completed') return reason;
    }
  return textField(pod, 'status', 'reason') ?? textField(pod, 'status', 'phase') ?? 'unknown';
}
