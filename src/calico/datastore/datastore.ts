/**
 * The port through which the agent reads and writes the cluster: an API server (api/datastore.ts)
 * or files (file/datastore.ts).
 *
 * Reading never fails: the snapshot holds the last known state and reports what is unreachable or
 * broken. Writing rejects with an error that has a `code` (DatastoreErrorCode); the caller decides
 * when to retry.
 */
import type { Cluster } from '../model/cluster.ts';
import type { Problem } from '../model/problem.ts';

export interface Snapshot {
  /**
   * Unchanged objects, and maps without changed entries, are identical to those of the previous
   * snapshot.
   */
  readonly cluster: Cluster;
  /** All current problems, including those of files or of the server's answers. */
  readonly problems: readonly Problem[];
  /**
   * Whether every requested kind has been read once. Before that, a plan would see only part of the
   * cluster.
   */
  readonly synced: boolean;
  /** Since when and why the cluster cannot be read, as text for people; absent while it can. */
  readonly stale?: string;
  /**
   * The API group that Calico's objects were read from: crd.projectcalico.org/v1 or
   * projectcalico.org/v3. Absent for files.
   */
  readonly apiGroup?: string;
}

export type SnapshotListener = (snapshot: Snapshot) => void;

export interface Datastore {
  /**
   * Adds a listener; the first one starts reading. Each listener is called soon with the known
   * state, then after changes, at most about every 50 ms.
   */
  watch(listener: SnapshotListener): Closable;
  /**
   * Switches reading of pods into `cluster.pods`. Off by default, because pods are many. `synced`
   * is false until they have been read.
   */
  wantPods(wanted: boolean): void;
  /** Sets these annotations of the Node and leaves others as they are; null removes one. */
  patchNode(name: string, annotations: Readonly<Record<string, string | null>>): Promise<void>;
  /**
   * Like `patchNode`, for labels. Needs the permission to patch Nodes themselves, not only their
   * status.
   */
  labelNode(name: string, labels: Readonly<Record<string, string | null>>): Promise<void>;
  /**
   * Queues an Event. Never fails. A repeated Event raises its count; Events above the rate limit
   * are dropped.
   */
  reportEvent(event: NodeEvent): void;
  /** The objects of Calico's IPAM, for the allocator. */
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
 * Stored objects, in the API group that the cluster uses. All kinds are cluster-scoped, so a name
 * is unique per kind.
 */
export interface ObjectStore {
  /**
   * Returns the API group: crd.projectcalico.org/v1 or projectcalico.org/v3. They differ in the
   * notation of a few fields.
   */
  group(): Promise<'v1' | 'v3'>;
  /** @returns undefined if the object does not exist */
  get(kind: ObjectKind, name: string): Promise<StoredObject | undefined>;
  list(kind: ObjectKind): Promise<readonly StoredObject[]>;
  /** Rejects with EEXIST if the object exists. */
  create(kind: ObjectKind, object: NewObject): Promise<StoredObject>;
  /** Rejects with ESTALE if the object changed since it was read, with ENOENT if it is gone. */
  replace(kind: ObjectKind, object: StoredObject): Promise<StoredObject>;
  /** Rejects like `replace`, except that a missing object is not an error. */
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
 * ENOENT: no such object. EEXIST: the object exists. ESTALE: it changed since it was read. EACCES:
 * not allowed; the message names the missing permission. EAGAIN: the server is unreachable or busy.
 * EINVAL: the server rejects the request.
 */
export type DatastoreErrorCode = 'ENOENT' | 'EEXIST' | 'ESTALE' | 'EACCES' | 'EAGAIN' | 'EINVAL';
