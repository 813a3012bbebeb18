/** What a group has of definitions, by discovery, which everybody may read. */

import { isFields } from '../../parse/reader.ts';
import type { CalicoGroup } from '../../resource-kinds.ts';
import type { ApiConnection } from '../connection.ts';
import { ApiError } from '../error.ts';

/** `going`: it is being deleted, and its objects with it: nothing can be created any more. `unsaid`: the answer does not tell. */
export type Definition = 'stands' | 'going' | 'absent' | 'unsaid';

/** @returns by a kind's plural. Rejects as a request does. */
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
  if (!Array.isArray(resources)) return () => 'unsaid';
  const verbs = new Map<unknown, unknown>();
  for (const each of resources as unknown[]) if (isFields(each)) verbs.set(each['name'], each['verbs']);
  return plural => {
    if (!verbs.has(plural)) return 'absent';
    const allowed = verbs.get(plural);
    return !Array.isArray(allowed) || allowed.includes('create') ? 'stands' : 'going';
  };
}
