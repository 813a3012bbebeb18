/** Calico's IPAM objects as the API keeps them (docs/reference/calico-felix.md#ipam-objects), read and written whole, so that fields that we do not know stay as they are. */

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

/** Of either API group. Errors have the `code` of src/calico/datastore: ESTALE or EEXIST where somebody else was quicker, ENOENT where there is nothing. */
export interface IpamPort {
  /** `v1`: crd.projectcalico.org/v1; `v3`: projectcalico.org/v3. A few fields are written in other ways. */
  group(): Promise<'v1' | 'v3'>;
  /** Empty also where there is no such kind. */
  list(kind: IpamKind): Promise<readonly IpamObject[]>;
  get(kind: IpamKind, name: string): Promise<IpamObject | undefined>;
  /** apiVersion and kind are filled in. @throws EEXIST if there is one of that name */
  create(kind: IpamKind, object: IpamObject): Promise<IpamObject>;
  /** @throws ESTALE unless it still has that resourceVersion */
  replace(kind: IpamKind, object: IpamObject): Promise<IpamObject>;
  /** @throws ESTALE unless it still has that resourceVersion */
  remove(kind: IpamKind, object: IpamObject): Promise<void>;
}

/** What was read is not what is there any more: to be read again. */
export function isConflict(error: unknown): boolean {
  const { code } = (error ?? {}) as { code?: unknown };
  return code === 'ESTALE' || code === 'EEXIST' || code === 'ENOENT';
}
