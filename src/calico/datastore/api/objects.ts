/** Implements ObjectStore (Calico's IPAM objects) on an API server, for the allocator. */
import { codedError } from '../../../base/coded-error.ts';
import type { ObjectKind, ObjectStore, StoredObject } from '../datastore.ts';
import { isFields } from '../parse/reader.ts';
import { CALICO_GROUPS, type CalicoGroup } from '../resource-kinds.ts';
import type { ApiConnection, ApiRequest } from './connection.ts';
import { datastoreError } from './error.ts';
import type { ApiGroup } from './group.ts';

const PLURAL: Readonly<Record<ObjectKind, string>> = {
  IPPool: 'ippools',
  IPReservation: 'ipreservations',
  IPAMConfig: 'ipamconfigs',
  IPAMBlock: 'ipamblocks',
  IPAMHandle: 'ipamhandles',
  BlockAffinity: 'blockaffinities',
};

export function apiObjects(connection: ApiConnection, group: ApiGroup, signal: AbortSignal): ObjectStore {
  const apiVersion = async (): Promise<CalicoGroup> => {
    const found = await group.resolve().catch(error => Promise.reject(datastoreError(error)));
    if (found) return found;
    throw codedError('ENOENT', "the server has neither of Calico's API groups: install Calico's CRDs");
  };
  const groupName = async (): Promise<'v1' | 'v3'> => ((await apiVersion()) === CALICO_GROUPS[0] ? 'v1' : 'v3');
  const send = async (
    method: ApiRequest['method'],
    kind: ObjectKind,
    name: string,
    more: Pick<ApiRequest, 'body' | 'query'> = {},
  ): Promise<unknown> => {
    const plural = kind === 'IPAMConfig' && (await groupName()) === 'v3' ? 'ipamconfigurations' : PLURAL[kind];
    const path = `/apis/${await apiVersion()}/${plural}${name && `/${encodeURIComponent(name)}`}`;
    return await connection.request({ method, path, signal, exact: true, ...more }).catch(error => {
      throw datastoreError(error);
    });
  };
  return {
    group: groupName,
    async get(kind, name) {
      try {
        return asStored(await send('GET', kind, name));
      } catch (error) {
        if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined;
        throw error;
      }
    },
    async list(kind) {
      const objects: StoredObject[] = [];
      let query: Readonly<Record<string, string>> = { limit: '500' };
      for (;;) {
        const page = await send('GET', kind, '', { query });
        const { items, metadata } = isFields(page) ? page : {};
        if (Array.isArray(items)) objects.push(...items.map(asStored));
        const next = isFields(metadata) ? metadata['continue'] : undefined;
        if (typeof next !== 'string' || next === '') return objects;
        query = { limit: '500', continue: next };
      }
    },
    async create(kind, object) {
      const body = { apiVersion: await apiVersion(), kind, ...object };
      return asStored(await send('POST', kind, '', { body }));
    },
    async replace(kind, object) {
      const body = { apiVersion: await apiVersion(), kind, ...object };
      return asStored(await send('PUT', kind, object.metadata.name, { body }));
    },
    async delete(kind, { metadata: { name, uid, resourceVersion } }) {
      const preconditions = { resourceVersion, ...(uid !== undefined && { uid }) };
      const body = { apiVersion: 'v1', kind: 'DeleteOptions', preconditions };
      try {
        await send('DELETE', kind, name, { body });
      } catch (error) {
        if ((error as NodeJS.ErrnoException).code !== 'ENOENT') throw error;
      }
    },
  };
}

/**
 * Returns an answer as an object. Throws EAGAIN if it lacks a name or a resourceVersion. The caller
 * validates the other fields.
 */
function asStored(object: unknown): StoredObject {
  const metadata = isFields(object) && isFields(object['metadata']) ? object['metadata'] : {};
  const spec = isFields(object) && isFields(object['spec']) ? object['spec'] : {};
  const { name, resourceVersion } = metadata;
  if (typeof name !== 'string' || typeof resourceVersion !== 'string')
    throw codedError('EAGAIN', 'the server answered with something that is not a Kubernetes object');
  return { ...(object as object), metadata: { ...metadata, name, resourceVersion }, spec };
}
