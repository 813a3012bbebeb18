/**
 * Removes the agent from this node for good: withdraws its keys, then removes all that it created.
 */
import type { Family } from '../../base/family.ts';
import { formatKeyBase64 } from '../../base/key.ts';
import type { Applier } from '../apply/applier.ts';
import type { Datastore } from '../datastore/datastore.ts';
import { ADDRESS_ANNOTATION } from '../model/annotations.ts';
import type { ClusterNode } from '../model/cluster.ts';
import type { Publisher } from '../publish/publisher.ts';
import type { AgentAllocator, AgentMachine } from './dependencies.ts';

export interface WithdrawDependencies {
  readonly nodeName: string;
  readonly datastore: Datastore;
  readonly publisher: Pick<Publisher, 'observe' | 'withdraw' | 'close'>;
  /** Present with `--allocate`, to release the tunnel's address too. */
  readonly allocator?: AgentAllocator;
  readonly applier: Pick<Applier, 'withdraw'>;
  readonly machine: AgentMachine;
  warn(text: string): void;
}

/** After this time, local state is removed even if the cluster has not answered. */
const WITHDRAW_TIMEOUT_MS = 10_000;

/** Withdraws keys, then tunnels. @returns the exit status: 1 if something remains */
export async function withdrawAll(dependencies: WithdrawDependencies): Promise<number> {
  const { nodeName, datastore, publisher, applier, warn } = dependencies;
  let own: ClusterNode | undefined;
  const clusterWatch = datastore.watch(({ cluster, synced }) => {
    own = cluster.nodes.get(nodeName);
    if (own || synced) publisher.observe(own?.annotations);
  });
  try {
    const withdrawn = await Promise.all(([4, 6] as const).map(family => withdrawKey(dependencies, family, () => own)));
    const { tunnels } = await applier.withdraw();
    for (const { error, interfaceName } of Object.values(tunnels))
      if (error) warn(`${interfaceName}: ${error.step}: ${error.message}`);
    return withdrawn.includes(false) || Object.keys(tunnels).length > 0 ? 1 : 0;
  } finally {
    clusterWatch.close();
    publisher.close();
  }
}

/** Withdraws one family's key and address. @returns true if neither remains */
async function withdrawKey(
  { nodeName, publisher, allocator, machine, warn }: WithdrawDependencies,
  family: Family,
  ownNode: () => ClusterNode | undefined,
): Promise<boolean> {
  let ours: string | undefined;
  try {
    const key = machine.ownPublicKey(family);
    ours = key && formatKeyBase64(key);
  } catch (error) {
    warn(`cannot tell whether the IPv${family} key on Node ${nodeName} is ours: ${(error as Error).message}`);
  }
  if (
    !(await publisher.withdraw(family, {
      timeoutMs: WITHDRAW_TIMEOUT_MS,
      ...(ours !== undefined && { previousKey: ours }),
    }))
  ) {
    warn(
      `the cluster did not answer, so our IPv${family} key may still be on Node ${nodeName}; run this command again`,
    );
    return false;
  }
  const own = ownNode();
  const publishedKey = own?.publicKey[family];
  // The address belongs to the owner of the Node's key. If that is another node's key, keep the
  // address.
  if (!allocator || !own || (publishedKey !== undefined && publishedKey !== ours)) return true;
  const { problem } = await allocator.release(family, own.annotations[ADDRESS_ANNOTATION[family]]);
  if (problem) warn(problem.message);
  return !problem;
}
