/** The end of the agent on this node, for good: its keys off the Node, then all that was made here. */
import { formatKeyBase64 } from '../../base/key.ts';
import type { Family } from '../../netlink/family.ts';
import type { Applier } from '../apply/applier.ts';
import type { Datastore } from '../datastore/datastore.ts';
import { ADDRESS_ANNOTATION } from '../model/annotations.ts';
import type { ClusterNode } from '../model/cluster.ts';
import type { Publisher } from '../publish/publisher.ts';
import type { AgentAllocator, AgentMachine } from './dependencies.ts';

export interface WithdrawParts {
  readonly nodeName: string;
  readonly datastore: Datastore;
  readonly publisher: Pick<Publisher, 'see' | 'withdraw' | 'close'>;
  /** `--allocate`: the tunnel's address goes too. */
  readonly allocator?: AgentAllocator;
  readonly applier: Pick<Applier, 'withdraw'>;
  readonly machine: AgentMachine;
  warn(text: string): void;
}

/** A cluster that cannot be reached is not waited for: what is here goes nevertheless. */
const PATIENCE = 10_000;

/** @returns the exit status: 1 if something is left */
export async function withdrawAll(parts: WithdrawParts): Promise<number> {
  const { nodeName, datastore, publisher, applier, warn } = parts;
  let own: ClusterNode | undefined;
  const watching = datastore.watch(({ cluster, synced }) => {
    own = cluster.nodes.get(nodeName);
    if (own || synced) publisher.see(own?.annotations);
  });
  try {
    const gone = await Promise.all(([4, 6] as const).map(family => withdrawKey(parts, family, () => own)));
    const { tunnels } = await applier.withdraw();
    for (const { error, interfaceName } of Object.values(tunnels))
      if (error) warn(`${interfaceName}: ${error.step}: ${error.message}`);
    return gone.includes(false) || Object.keys(tunnels).length > 0 ? 1 : 0;
  } finally {
    watching.close();
    publisher.close();
  }
}

/** @returns whether all of it went */
async function withdrawKey(
  { nodeName, publisher, allocator, machine, warn }: WithdrawParts,
  family: Family,
  ownNode: () => ClusterNode | undefined,
): Promise<boolean> {
  let ours: string | undefined;
  try {
    const key = machine.ownPublicKey(family);
    ours = key && formatKeyBase64(key);
  } catch (error) {
    warn(`whether an IPv${family} key on Node ${nodeName} is ours is not known: ${(error as Error).message}`);
  }
  if (!(await publisher.withdraw(family, { patience: PATIENCE, ...(ours !== undefined && { ours }) }))) {
    warn(`our IPv${family} key may still be on Node ${nodeName}: the cluster did not answer`);
    return false;
  }
  const own = ownNode();
  const there = own?.publicKey[family];
  // an address is of whoever has a key there
  if (!allocator || !own || (there !== undefined && there !== ours)) return true;
  const { problem } = await allocator.release(family, own.annotations[ADDRESS_ANNOTATION[family]]);
  if (problem) warn(problem.message);
  return !problem;
}
