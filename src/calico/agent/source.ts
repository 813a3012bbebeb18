/**
 * Opens the cluster's datastore: an API server or files. The API client is large, so it is loaded
 * only when used.
 */
import { codedError } from '../../base/coded-error.ts';
import type { Datastore } from '../datastore/datastore.ts';

export interface DatastoreOptions {
  readonly kubeconfig?: string;
  readonly clusterFrom?: string;
  readonly env: Readonly<Record<string, string | undefined>>;
  /** Receives the Events of a cluster in files, which has nowhere to store them. */
  log(text: string): void;
}

/** @throws Error with `code` EINVAL that names the unusable option */
export async function openDatastore({ kubeconfig, clusterFrom, env, log }: DatastoreOptions): Promise<Datastore> {
  if (clusterFrom === undefined) {
    const { openApiDatastore } = await import('../datastore/api/datastore.ts');
    return openApiDatastore({ env, ...(kubeconfig !== undefined && { kubeconfig }) }).catch((error: Error) => {
      throw codedError('EINVAL', `${error.message}; name a cluster with --kubeconfig FILE or --cluster-from PATH`);
    });
  }
  const { openFileDatastore } = await import('../datastore/file/datastore.ts');
  return openFileDatastore({
    path: clusterFrom,
    onEvent: ({ node, type, reason, message }) => log(`Event on Node ${node}: ${type} ${reason}: ${message}`),
  });
}
