/**
 * Moves the ownership of fields from `kubectl apply` to this program. Server-side apply removes
 * fields that a manifest no longer has, but only those that the same manager set before. Without
 * this move, an upgrade of what kubectl installed would keep such fields for ever.
 */
import { copyOf, field, hasFields, listField, type Resource, textField } from '../../model/resource.ts';
import { type ClusterApi, codeOf, find } from '../cluster/api.ts';

/** The field manager of this program. */
export const MANAGER = 'wgts-calico-install';
/**
 * Managers of manifests: `kubectl apply`, `kubectl apply --server-side`, and our own uninstallation
 * that did not end (rollout.ts).
 */
const FORMER = [
  ['kubectl-client-side-apply', 'Update'],
  ['kubectl', 'Apply'],
  [MANAGER, 'Update'],
] as const;
/** The object changes often while its pods start. */
const ATTEMPTS = 5;

type FieldSet = Readonly<Record<string, unknown>>;

/** Moves the ownership on the server, if kubectl has any. @returns the object afterwards */
export async function takeOwnership(api: ClusterApi, path: string, object: unknown): Promise<unknown> {
  let current = object;
  for (let attempt = 1; current !== undefined; attempt++) {
    const entries = listField(current, 'metadata', 'managedFields');
    const former = entries.filter(isFormer);
    if (former.length === 0) return current;
    const own = entries.filter(isOwn);
    const rest = entries.filter(entry => !isFormer(entry) && !isOwn(entry));
    const fieldsV1 = [...own, ...former].map(fieldsOf).reduce(union, {});
    const moved = { ...(former[0] as object), manager: MANAGER, operation: 'Apply', fieldsV1 };
    const body = [
      { op: 'replace', path: '/metadata/managedFields', value: [moved, ...rest] },
      // The server refuses the change if the object is another one by now.
      { op: 'replace', path: '/metadata/resourceVersion', value: field(current, 'metadata', 'resourceVersion') },
    ];
    try {
      return await api.send({ method: 'PATCH', path, patch: 'json', body });
    } catch (error) {
      if (codeOf(error) !== 'ESTALE' || attempt === ATTEMPTS) throw error;
      current = await find(api, path);
    }
  }
  return current;
}

/**
 * Returns the result of a dry run as it would be after takeOwnership, which has no dry run: without
 * the fields that kubectl set and that are no longer wanted.
 */
export function withoutOrphans(result: unknown, before: unknown, wanted: Resource): unknown {
  const former = listField(before, 'metadata', 'managedFields').filter(isFormer).map(fieldsOf);
  if (former.length === 0) return result;
  const copy = copyOf(result);
  removeUnwanted(copy, former.reduce(union, {}), wanted);
  return copy;
}

/**
 * Follows a set of fields: `f:NAME` is a field, `k:{...}` the element of a list with these keys.
 */
function removeUnwanted(object: unknown, fields: FieldSet, wanted: unknown): void {
  for (const [name, inner] of Object.entries(fields)) {
    const below = hasFields(inner) ? inner : {};
    if (name.startsWith('f:') && hasFields(object)) {
      const key = name.slice(2);
      if (field(wanted, key) === undefined) Reflect.deleteProperty(object, key);
      else removeUnwanted(field(object, key), below, field(wanted, key));
    } else if (name.startsWith('k:') && Array.isArray(object)) {
      const index = elementOf(object, name);
      const other = Array.isArray(wanted) ? wanted[elementOf(wanted, name)] : undefined;
      if (index < 0) continue;
      if (other === undefined) object.splice(index, 1);
      else removeUnwanted(object[index], below, other);
    }
  }
}

function elementOf(elements: readonly unknown[], name: string): number {
  let keys: unknown;
  try {
    keys = JSON.parse(name.slice(2));
  } catch {
    return -1;
  }
  if (!hasFields(keys)) return -1;
  return elements.findIndex(each => Object.entries(keys).every(([key, value]) => field(each, key) === value));
}

function union(a: FieldSet, b: FieldSet): FieldSet {
  const result: Record<string, unknown> = { ...a };
  for (const [name, inner] of Object.entries(b)) {
    const other = result[name];
    result[name] = hasFields(other) && hasFields(inner) ? union(other, inner) : inner;
  }
  return result;
}

function fieldsOf(entry: unknown): FieldSet {
  const fields = field(entry, 'fieldsV1');
  return hasFields(fields) ? fields : {};
}

function isFormer(entry: unknown): boolean {
  return isBy(entry, ...FORMER);
}

function isOwn(entry: unknown): boolean {
  return isBy(entry, [MANAGER, 'Apply']);
}

function isBy(entry: unknown, ...all: readonly (readonly [string, string])[]): boolean {
  const isSubresource = (textField(entry, 'subresource') ?? '') !== '';
  return (
    !isSubresource &&
    all.some(
      ([manager, operation]) => textField(entry, 'manager') === manager && textField(entry, 'operation') === operation,
    )
  );
}
