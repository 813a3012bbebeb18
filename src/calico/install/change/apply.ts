/**
 * Applies objects with server-side apply, on trial or for good. Applying the same objects again
 * changes nothing.
 */
import { field, type Resource, textField } from '../../model/resource.ts';
import { type ClusterApi, codeOf, find } from '../cluster/api.ts';
import { pathOf } from '../cluster/kinds.ts';
import { isSame } from './diff.ts';
import { MANAGER, takeOwnership, withoutOrphans } from './ownership.ts';

export interface Change {
  readonly object: Resource;
  readonly outcome: 'created' | 'configured' | 'unchanged' | 'deleted';
  /** As the server has it; absent if it has none. */
  readonly before?: unknown;
  readonly after?: unknown;
}

/**
 * Applies one object.
 * @param dryRun asks the server what it would do @throws Error of the server
 */
export async function applyObject(api: ClusterApi, object: Resource, dryRun: boolean): Promise<Change> {
  const path = pathOf(object);
  const before = await find(api, path);
  if (before !== undefined && !dryRun) await takeOwnership(api, path, before);
  const query = { fieldManager: MANAGER, force: 'true', fieldValidation: 'Strict', ...(dryRun && { dryRun: 'All' }) };
  const answer = await api.send({ method: 'PATCH', path, patch: 'apply', query, body: object });
  const after = dryRun ? await withoutFormer(api, path, answer, before, object) : answer;
  if (before === undefined) return { object, outcome: 'created', after };
  return { object, outcome: isSame(before, after) ? 'unchanged' : 'configured', before, after };
}

/** Completes a dry run by what takeOwnership would change. */
async function withoutFormer(
  api: ClusterApi,
  path: string,
  answer: unknown,
  before: unknown,
  object: Resource,
): Promise<unknown> {
  const body = withoutOrphans(answer, before, object);
  if (body === answer) return answer;
  // kubectl also owns the defaults that the server filled in. The server fills them in again.
  return await api.send({ method: 'PUT', path, query: { fieldManager: MANAGER, dryRun: 'All' }, body });
}

/**
 * Deletes an object, and lets the server delete what belongs to it.
 * @returns undefined if it is absent
 */
export async function deleteObject(api: ClusterApi, object: Resource, dryRun: boolean): Promise<Change | undefined> {
  // The server ignores the query of a deletion that has a body.
  const trial = dryRun ? { dryRun: ['All'] } : {};
  const body = { apiVersion: 'v1', kind: 'DeleteOptions', propagationPolicy: 'Background', ...trial };
  try {
    await api.send({ method: 'DELETE', path: pathOf(object), body });
    return { object, outcome: 'deleted', before: object };
  } catch (error) {
    if (codeOf(error) === 'ENOENT') return undefined;
    throw error;
  }
}

/**
 * Returns the live objects of these names, if they are ours: another object may have the same name.
 */
export async function findOwn(api: ClusterApi, objects: readonly Resource[]): Promise<Resource[]> {
  const found: Resource[] = [];
  for (const object of objects) {
    const live = await find(api, pathOf(object));
    const label = textField(field(live, 'metadata', 'labels'), 'app.kubernetes.io/name');
    // An object in an answer has neither apiVersion nor kind in some versions of the server.
    if (label === 'wireguard-ts') found.push({ ...object, ...(live as object) });
  }
  return found;
}

/** Returns the objects that an earlier choice installed and this one leaves out. */
export async function findLeftOver(
  api: ClusterApi,
  every: readonly Resource[],
  wanted: readonly Resource[],
): Promise<Resource[]> {
  const paths = new Set(wanted.map(pathOf));
  const namespaces = new Set(wanted.map(({ metadata }) => metadata.namespace));
  const others = every.filter(object => !paths.has(pathOf(object)) && namespaces.has(object.metadata.namespace));
  return await findOwn(api, others);
}
