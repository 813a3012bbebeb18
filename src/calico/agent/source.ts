/**
 * Opens the cluster's datastore: an API server or files. The API client is large, so it is only
 * loaded if it is used.
 */
import { codedError } from '../../base/coded-error.ts';
import type { Datastore } from '../datastore/datastore.ts';

export interface DatastoreOptions {
  readonly kubeconfig?: string;
  readonly clusterFrom?: string;
  readonly env: Readonly<Record<string, string | undefined>>;
  /** Receives Events if the cluster is read from files, where they cannot be stored. */
  log(text: string): void;
}

/** Opens the datastore. @throws Error with `code` EINVAL that names the unusable option */
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
