/**
 * Reads and writes any object of the API server, for `wgts calico install`. The commands read the
 * same kubeconfig as the agent.
 */
import { ApiConnection, type ApiRequest, type ConnectionOptions } from './connection.ts';
import { datastoreError } from './error.ts';

/** Times of an unavailable server are short. Longer ones are for people to decide. */
const ATTEMPTS = 3;
const PAUSE_MS = 1_000;

/** Opens the connection. Rejects if there is no configuration. */
export async function openResources(
  options: ConnectionOptions & { readonly sleep: (milliseconds: number) => Promise<unknown> },
): Promise<{ send(request: ApiRequest): Promise<unknown> }> {
  const connection = await ApiConnection.open(options);
  return {
    async send(request) {
      for (let attempt = 1; ; attempt++) {
        try {
          return await connection.request(request);
        } catch (error) {
          const coded = datastoreError(error) as NodeJS.ErrnoException;
          // Only a read is repeated, because a write may have been done.
          if (coded.code !== 'EAGAIN' || request.method !== 'GET' || attempt === ATTEMPTS) throw coded;
          await options.sleep(PAUSE_MS * attempt);
        }
      }
    },
  };
}
