/**
 * Access to Calico's IPAM objects (docs/reference/calico-felix.md#ipam-objects). Objects are read
 * and written as a whole, which preserves fields that we do not know.
 */

export type IpamKind = 'IPPool' | 'IPReservation' | 'IPAMConfig' | 'IPAMBlock' | 'BlockAffinity' | 'IPAMHandle';

export interface IpamObject {
  readonly metadata: {
    readonly name: string;
    readonly resourceVersion?: string;
    readonly deletionTimestamp?: string;
    readonly [field: string]: unknown;
  };
  readonly spec?: Readonly<Record<string, unknown>>;
  readonly [field: string]: unknown;
}

/**
 * Reads and writes IPAM objects in either API group. Errors have a `code` from
 * src/calico/datastore: ESTALE or EEXIST if another writer was faster, ENOENT if the object does
 * not exist.
 */
export interface IpamPort {
  /**
   * `v1`: crd.projectcalico.org/v1. `v3`: projectcalico.org/v3. The groups encode a few fields
   * differently.
   */
  group(): Promise<'v1' | 'v3'>;
  /** Lists all objects of a kind. Returns an empty list if the cluster does not define the kind. */
  list(kind: IpamKind): Promise<readonly IpamObject[]>;
  get(kind: IpamKind, name: string): Promise<IpamObject | undefined>;
  /**
   * Creates an object and fills in apiVersion and kind.
   * @throws EEXIST if an object of this name exists
   */
  create(kind: IpamKind, object: IpamObject): Promise<IpamObject>;
  /** @throws ESTALE unless the stored object still has this resourceVersion */
  replace(kind: IpamKind, object: IpamObject): Promise<IpamObject>;
  /** @throws ESTALE unless the stored object still has this resourceVersion */
  remove(kind: IpamKind, object: IpamObject): Promise<void>;
}

/**
 * Returns whether the error means that the objects read are stale, so that they must be read again.
 */
export function isConflict(error: unknown): boolean {
  const { code } = (error ?? {}) as { code?: unknown };
  return code === 'ESTALE' || code === 'EEXIST' || code === 'ENOENT';
}
