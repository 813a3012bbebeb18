/**
 * The port through which the agent reads and writes the cluster: an API server (api/datastore.ts)
 * or files (file/datastore.ts).
 *
 * Reading never fails: the snapshot holds the last known state and reports what is unreachable or
 * broken. Writing rejects with an error that has a DatastoreErrorCode as its `code`. The caller
 * decides when to retry.
 */
import type { Cluster, PerFamily } from '../model/cluster.ts';
import type { Problem } from '../model/problem.ts';
import type { KeyOwners } from './key-history.ts';

export interface Snapshot {
  /**
   * Objects that did not change, and maps whose entries did not change, are the same JavaScript
   * objects as in the previous snapshot.
   */
  readonly cluster: Cluster;
  /** All current problems, including those found in files or in the server's answers. */
  readonly problems: readonly Problem[];
  /**
   * Whether every requested kind has been read once. Until then the cluster, and any plan
   * made from it, is incomplete.
   */
  readonly synced: boolean;
  /**
   * Why the cluster cannot be read, and since when, as text for people; absent while it can be
   * read.
   */
  readonly stale?: string;
  /**
   * The API group from which Calico's objects are read: crd.projectcalico.org/v1 or
   * projectcalico.org/v3. Absent for files.
   */
  readonly apiGroup?: string;
  /** The node that published each key first; the same object until it changes. */
  readonly keyOwners?: PerFamily<KeyOwners>;
  /**
   * The addresses by which this node reaches the API server; the same array until they change.
   * Absent for files.
   */
  readonly apiServers?: readonly Uint8Array[];
}

export type SnapshotListener = (snapshot: Snapshot) => void;

export interface Datastore {
  /**
   * Adds a listener; the first listener starts the reading. Each listener soon receives the known
   * state, and then each change, at most about every 50 ms.
   */
  watch(listener: SnapshotListener): Closable;
  /**
   * Switches the reading of pods into `cluster.pods` on or off. It is off by default, because a
   * cluster has many pods. Once switched on, `synced` is false until the pods have been read.
   */
  wantPods(wanted: boolean): void;
  /** Adds the owners of keys that an earlier agent remembered, which override what lists show. */
  rememberKeyOwners(owners: PerFamily<KeyOwners>): void;
  /** Sets annotations of the Node; null removes an annotation. Other annotations stay unchanged. */
  patchNode(name: string, annotations: Readonly<Record<string, string | null>>): Promise<void>;
  /**
   * Like `patchNode`, for labels. Needs permission to patch Nodes; for `patchNode`, permission to
   * patch their status is enough.
   */
  labelNode(name: string, labels: Readonly<Record<string, string | null>>): Promise<void>;
  /**
   * Queues an Event. Never fails. A repeated Event raises its count. Events above the rate limit
   * are dropped.
   */
  reportEvent(event: NodeEvent): void;
  /** Calico's IPAM objects, for the allocator. */
  readonly objects: ObjectStore;
  /** Stops reading and writing, and removes all listeners. */
  close(): Promise<void>;
}

export interface Closable {
  close(): void;
}

/** An Event of core/v1 on a Node. */
export interface NodeEvent {
  readonly node: string;
  readonly type: 'Normal' | 'Warning';
  /** CamelCase, such as a Problem's reason. */
  readonly reason: string;
  readonly message: string;
}

export type ObjectKind = 'IPPool' | 'IPReservation' | 'IPAMConfig' | 'IPAMBlock' | 'IPAMHandle' | 'BlockAffinity';

/**
 * Reads and writes stored objects in the API group that the cluster uses. All kinds are
 * cluster-scoped, so names are unique within a kind.
 */
export interface ObjectStore {
  /**
   * Returns the API group: `v1` for crd.projectcalico.org/v1, `v3` for projectcalico.org/v3. A few
   * fields are written differently in the two groups.
   */
  group(): Promise<'v1' | 'v3'>;
  /** Returns the object; undefined if it does not exist. */
  get(kind: ObjectKind, name: string): Promise<StoredObject | undefined>;
  list(kind: ObjectKind): Promise<readonly StoredObject[]>;
  /** Creates an object. Rejects with EEXIST if it already exists. */
  create(kind: ObjectKind, object: NewObject): Promise<StoredObject>;
  /**
   * Replaces an object. Rejects with ESTALE if it changed since it was read, with ENOENT if it is
   * gone.
   */
  replace(kind: ObjectKind, object: StoredObject): Promise<StoredObject>;
  /**
   * Deletes an object. Rejects with ESTALE if it changed since it was read. A missing object is not
   * an error.
   */
  delete(kind: ObjectKind, object: StoredObject): Promise<void>;
}

export interface NewObject {
  readonly metadata: { readonly name: string; readonly [field: string]: unknown };
  readonly spec: Readonly<Record<string, unknown>>;
  readonly [field: string]: unknown;
}

export interface StoredObject extends NewObject {
  readonly metadata: {
    readonly name: string;
    readonly resourceVersion: string;
    readonly uid?: string;
    readonly [field: string]: unknown;
  };
}

/**
 * ENOENT: the object does not exist. EEXIST: the object already exists. ESTALE: the object changed
 * since it was read. EACCES: permission denied; the message names the missing permission. EAGAIN:
 * the server is unreachable or busy. EINVAL: the server rejects the request.
 */
export type DatastoreErrorCode = 'ENOENT' | 'EEXIST' | 'ESTALE' | 'EACCES' | 'EAGAIN' | 'EINVAL';
