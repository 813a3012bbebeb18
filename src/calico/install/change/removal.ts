/** Removes the agent from a cluster: the plan, and its steps in order. */
import { listField, nameOf, type Resource, textField } from '../../model/resource.ts';
import { type ClusterApi, codeOf, list } from '../cluster/api.ts';
import { AGENT, KERNEL_MODULE_LABEL, LABELLER } from '../cluster/found.ts';
import { inOrder } from '../cluster/kinds.ts';
import type { DeployTree } from '../render/kustomization.ts';
import { everyObject } from '../render/manifests.ts';
import { deleteObject, findOwn } from './apply.ts';
import { changeDaemonSet, type Patience, unreadyPods, untilRolledOut } from './rollout.ts';
import { switchedOff, withdrawing } from './withdrawal.ts';

export interface Removal {
  /** The DaemonSets of agents, which leave their nodes first. */
  readonly agents: readonly Resource[];
  /** All objects, in the order of deletion: pods first, permissions last. */
  readonly objects: readonly Resource[];
  /** The Nodes with the labeller's label. */
  readonly labelled: readonly string[];
  /** A container that only waits. */
  readonly waiting: unknown;
}

const KEYS = ['projectcalico.org/WireguardPublicKey', 'projectcalico.org/WireguardPublicKeyV6'];
/** Requests at a time. */
const AT_ONCE = 8;

/** Finds everything that any version and choice of this program installed. */
export async function planRemoval(api: ClusterApi, tree: DeployTree): Promise<Removal> {
  const every = everyObject(tree);
  const objects = inOrder(await findOwn(api, every)).reverse();
  const labelled = await list(api, '/api/v1/nodes', { labelSelector: KERNEL_MODULE_LABEL, metadataOnly: true });
  const labeller = every.find(({ kind, metadata }) => kind === 'DaemonSet' && metadata.name === LABELLER);
  return {
    agents: objects.filter(({ kind, metadata }) => kind === 'DaemonSet' && metadata.name === AGENT),
    objects,
    labelled: labelled.flatMap(node => textField(node, 'metadata', 'name') ?? []),
    waiting: listField(labeller, 'spec', 'template', 'spec', 'containers')[0],
  };
}

/**
 * Makes all agents leave their nodes.
 * @returns why not all have left; undefined if all have
 */
export async function withdrawAgents(
  api: ClusterApi,
  { agents, waiting }: Pick<Removal, 'agents' | 'waiting'>,
  patience: Patience,
): Promise<string | undefined> {
  const steps = [
    { text: 'the agents withdraw their keys and remove their tunnels', change: switchedOff },
    {
      text: 'each node removes what is left (wgts calico --withdraw)',
      change: (live: Resource) => withdrawing(live, waiting),
    },
  ];
  for (const agent of agents)
    for (const { text, change } of steps) {
      patience.log(`${nameOf(agent)}: ${text}`);
      if (!(await changeDaemonSet(api, agent, change))) break;
      const failure = await untilRolledOut(api, agent, patience);
      if (failure !== undefined) return `${nameOf(agent)}: ${failure}`;
    }
  return undefined;
}

/** Deletes the objects, and removes the label from the Nodes. @param log names each step */
export async function deleteAll(
  api: ClusterApi,
  { objects, labelled }: Pick<Removal, 'objects' | 'labelled'>,
  log: (text: string) => void,
): Promise<void> {
  const [pods, others] = [true, false].map(isPod => objects.filter(({ kind }) => (kind === 'DaemonSet') === isPod));
  const remove = async (object: Resource): Promise<void> => {
    if (await deleteObject(api, object, false)) log(`${nameOf(object)} deleted`);
  };
  for (const object of pods!) await remove(object);
  // After the DaemonSets: the agent's pods would start on nodes that lose the label.
  await forEach(labelled, async name => {
    await changeNode(api, name, { labels: { [KERNEL_MODULE_LABEL]: null } });
  });
  if (labelled.length > 0) log(`label ${KERNEL_MODULE_LABEL} removed from ${labelled.length} Nodes`);
  for (const object of others!) await remove(object);
}

/**
 * Removes the keys of nodes whose agent did not leave. The other nodes would keep sending to them.
 * @returns the names of the Nodes
 */
export async function removeKeys(api: ClusterApi, agents: readonly Resource[]): Promise<readonly string[]> {
  const stuck = new Set<string>();
  for (const agent of agents)
    for (const pod of await unreadyPods(api, agent)) {
      const name = textField(pod, 'spec', 'nodeName');
      if (name !== undefined) stuck.add(name);
    }
  const names = [...stuck].sort();
  const annotations = Object.fromEntries(KEYS.map(key => [key, null]));
  await forEach(names, async name => await changeNode(api, name, { annotations }));
  return names;
}

async function changeNode(api: ClusterApi, name: string, metadata: object): Promise<void> {
  try {
    await api.send({
      method: 'PATCH',
      path: `/api/v1/nodes/${encodeURIComponent(name)}`,
      patch: 'merge',
      body: { metadata },
    });
  } catch (error) {
    // The Node was removed in between.
    if (codeOf(error) !== 'ENOENT') throw error;
  }
}

async function forEach(names: readonly string[], work: (name: string) => Promise<void>): Promise<void> {
  const left = [...names];
  const worker = async (): Promise<void> => {
    for (let name = left.pop(); name !== undefined; name = left.pop()) await work(name);
  };
  await Promise.all(Array.from({ length: AT_ONCE }, worker));
}
