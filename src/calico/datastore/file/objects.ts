/**
 * Implements ObjectStore (Calico's IPAM objects) on files, for the allocator. A hash of the content
 * serves as resourceVersion.
 */
import { createHash } from 'node:crypto';
import { codedError } from '../../../base/coded-error.ts';
import { quoted } from '../../model/problem.ts';
import type { NewObject, ObjectKind, ObjectStore, StoredObject } from '../datastore.ts';
import { exactJson } from '../parse/exact-json.ts';
import { type Fields, isFields } from '../parse/reader.ts';
import { CALICO_GROUPS } from '../resource-kinds.ts';
import type { FileEditor } from './editor.ts';

/** @param serialize runs this program's writes one at a time */
export function fileObjects(editor: FileEditor, serialize: <T>(work: () => Promise<T>) => Promise<T>): ObjectStore {
  const all = async (kind: ObjectKind): Promise<StoredObject[]> =>
    (await editor.objects()).flatMap(object => (isOf(kind, object) ? asStored(object) : []));
  const change = async (kind: ObjectKind, object: StoredObject, after: unknown): Promise<boolean> =>
    await serialize(() =>
      editor.edit(isNamed(kind, object.metadata.name), before => {
        if (asStored(before).metadata.resourceVersion === object.metadata.resourceVersion) return after;
        throw codedError('ESTALE', `${kind}/${object.metadata.name} was changed since it was read`);
      }),
    );
  return {
    // New objects are created in the first group; existing objects may belong to either group.
    group: async () => 'v1',
    get: async (kind, name) => (await all(kind)).find(({ metadata }) => metadata.name === name),
    list: all,
    async create(kind, object) {
      const { name } = object.metadata;
      if (!/^[a-z0-9]([a-z0-9.-]*[a-z0-9])?$/.test(name))
        throw codedError(
          'EINVAL',
          `${quoted(name)} is not a valid object name: use lower-case letters, digits, dots and dashes`,
        );
      const whole = { apiVersion: CALICO_GROUPS[0], kind, ...object };
      const file = `${kind.toLowerCase()}-${name}.yaml`;
      if (!(await serialize(() => editor.add(whole, file, isNamed(kind, name)))))
        throw codedError('EEXIST', `${kind}/${name} already exists`);
      return asStored(whole);
    },
    async replace(kind, object) {
      const { resourceVersion: _, ...metadata } = object.metadata;
      const after = { apiVersion: CALICO_GROUPS[0], kind, ...object, metadata };
      if (await change(kind, object, after)) return asStored(after);
      throw codedError('ENOENT', `there is no ${kind}/${object.metadata.name}`);
    },
    async delete(kind, object) {
      await change(kind, object, undefined);
    },
  };
}

function isOf(kind: ObjectKind, object: unknown): boolean {
  if (!isFields(object) || object['kind'] !== kind) return false;
  const groups: readonly unknown[] = CALICO_GROUPS;
  return (
    groups.includes(object['apiVersion']) &&
    isFields(object['metadata']) &&
    typeof object['metadata']['name'] === 'string'
  );
}

function isNamed(kind: ObjectKind, name: string): (object: unknown) => boolean {
  return object => isOf(kind, object) && ((object as Fields)['metadata'] as Fields)['name'] === name;
}

function asStored(object: unknown): StoredObject {
  const { metadata, ...rest } = object as NewObject;
  const { resourceVersion: _, ...own } = metadata;
  const content = exactJson({ ...rest, metadata: own });
  const resourceVersion = createHash('sha256').update(content).digest('hex').slice(0, 16);
  return { ...rest, metadata: { ...own, resourceVersion } } as StoredObject;
}
