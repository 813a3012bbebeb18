/** The end of the agent on this node, for good: its keys off the Node, then all that was made here. */
import { formatKeyBase64 } from '../../base/key.ts';
import type { Applier } from '../apply/applier.ts';
import type { Datastore } from '../datastore/datastore.ts';
import type { Publisher } from '../publish/publisher.ts';
import type { AgentMachine } from './parts.ts';

export interface WithdrawParts {
  readonly nodeName: string;
  readonly datastore: Datastore;
  readonly publisher: Publisher;
  readonly applier: Pick<Applier, 'withdraw'>;
  readonly machine: AgentMachine;
  warn(text: string): void;
}

/** A cluster that cannot be reached is not waited for: what is here goes nevertheless. */
const PATIENCE = 10_000;

/** @returns the exit status: 1 if something is left */
export async function withdrawAll(parts: WithdrawParts): Promise<number> {
  const { nodeName, datastore, publisher, applier, machine, warn } = parts;
  const watching = datastore.watch(({ cluster, synced }) => {
    const own = cluster.nodes.get(nodeName);
    if (own || synced) publisher.see(own?.annotations);
  });
  try {
    const gone = await Promise.all(
      ([4, 6] as const).map(family => {
        const key = machine.ownPublicKey(family);
        return publisher.withdraw(family, { patience: PATIENCE, ...(key && { ours: formatKeyBase64(key) }) });
      }),
    );
    if (gone.includes(false)) warn(`our key may still be on Node ${nodeName}: the cluster did not answer`);
    const { tunnels } = await applier.withdraw();
    for (const { error, interfaceName } of Object.values(tunnels))
      if (error) warn(`${interfaceName}: ${error.step}: ${error.message}`);
    return gone.includes(false) || Object.keys(tunnels).length > 0 ? 1 : 0;
  } finally {
    watching.close();
    publisher.close();
  }
}
