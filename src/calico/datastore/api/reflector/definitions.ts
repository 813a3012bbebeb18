/** Reads which CRDs a group has, through API discovery, which needs no permission. */

import { isFields } from '../../parse/reader.ts';
import type { CalicoGroup } from '../../resource-kinds.ts';
import type { ApiConnection } from '../connection.ts';
import { ApiError } from '../error.ts';

/**
 * `terminating`: the CRD is being deleted together with its objects, so that none can be created.
 * `unknown`: the answer does not tell.
 */
export type Definition = 'established' | 'terminating' | 'absent' | 'unknown';

/** Returns a function from a kind's plural to its state. Rejects like a request. */
export async function readDefinitions(
  connection: ApiConnection,
  group: CalicoGroup,
  signal: AbortSignal,
): Promise<(plural: string) => Definition> {
  let answer: unknown;
  try {
    answer = await connection.request({ method: 'GET', path: `/apis/${group}`, signal });
  } catch (error) {
    if (error instanceof ApiError && error.status === 404) return () => 'absent';
    throw error;
  }
  const resources = isFields(answer) ? answer['resources'] : undefined;
  if (!Array.isArray(resources)) return () => 'unknown';
  const verbs = new Map<unknown, unknown>();
  for (const each of resources as unknown[]) if (isFields(each)) verbs.set(each['name'], each['verbs']);
  return plural => {
    if (!verbs.has(plural)) return 'absent';
    const allowed = verbs.get(plural);
    return !Array.isArray(allowed) || allowed.includes('create') ? 'established' : 'terminating';
  };
}
