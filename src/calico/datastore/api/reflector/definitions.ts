/** Reads the CRDs of a group through API discovery, which by default needs no permission. */

import { isFields } from '../../parse/reader.ts';
import type { CalicoGroup } from '../../resource-kinds.ts';
import type { ApiConnection } from '../connection.ts';
import { ApiError } from '../error.ts';

/**
 * `terminating`: the CRD and its objects are being deleted, and no object can be created.
 * `unknown`: the answer does not contain the state.
 */
export type Definition = 'established' | 'terminating' | 'absent' | 'unknown';

/**
 * Returns a function that maps a kind's plural to the state of its CRD. Rejects with the error of a
 * failed request.
 */
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
