/** Where the cluster comes from: an API server or files. What speaks to API servers is large, and is loaded only for them. */
import { codedError } from '../../base/coded-error.ts';
import type { Datastore } from '../datastore/datastore.ts';

export interface DatastoreOptions {
  readonly kubeconfig?: string;
  readonly clusterFrom?: string;
  readonly env: Readonly<Record<string, string | undefined>>;
  /** Events of a cluster in files. */
  say(text: string): void;
}

/** @throws Error with `code` that says what of the options cannot be used */
export async function openDatastore({ kubeconfig, clusterFrom, env, say }: DatastoreOptions): Promise<Datastore> {
  if (clusterFrom === undefined) {
    const { openApiDatastore } = await import('../datastore/api/datastore.ts');
    return openApiDatastore({ env, ...(kubeconfig !== undefined && { kubeconfig }) }).catch((error: Error) => {
      throw codedError('EINVAL', `${error.message}; say it with --kubeconfig FILE or --cluster-from PATH`);
    });
  }
  const { openFileDatastore } = await import('../datastore/file/datastore.ts');
  return openFileDatastore({
    path: clusterFrom,
    onEvent: ({ node, type, reason, message }) => say(`Event of ${node}: ${type} ${reason}: ${message}`),
  });
}
