/** Adapts a Datastore's objects to the IPAM port of src/calico/publish. */
import type { ObjectStore, StoredObject } from '../datastore/datastore.ts';
import type { IpamObject, IpamPort } from '../publish/ipam/port.ts';

export function ipamPort(objects: ObjectStore): IpamPort {
  return {
    group: () => objects.group(),
    async list(kind) {
      try {
        return await objects.list(kind);
      } catch (error) {
        // A cluster that does not define the kind has no objects of it.
        if ((error as NodeJS.ErrnoException).code === 'ENOENT') return [];
        throw error;
      }
    },
    get: (kind, name) => objects.get(kind, name),
    create: (kind, object) => objects.create(kind, { ...object, spec: object.spec ?? {} }),
    replace: (kind, object) => objects.replace(kind, asStored(object)),
    remove: (kind, object) => objects.delete(kind, asStored(object)),
  };
}

/**
 * Narrows the type of an object that was read from the datastore and therefore has a
 * resourceVersion.
 */
function asStored(object: IpamObject): StoredObject {
  const { name, resourceVersion } = object.metadata;
  if (resourceVersion === undefined) throw new TypeError(`${name} was not read from the datastore`);
  return { ...object, metadata: { ...object.metadata, resourceVersion }, spec: object.spec ?? {} };
}
