/**
 * Where the cluster is read from and written to: an API server (api-datastore.ts) or files (file-datastore.ts). The agent knows only this.
 *
 * Reading never fails: what is away or broken is said in the snapshot, which holds what was last known. Writing rejects with an error that has a
 * `code` (DatastoreErrorCode): whoever wrote decides when to try again.
 */
import type { Cluster } from '../model/cluster.ts';
import type { Problem } from '../model/problem.ts';

export interface Snapshot {
  /** Objects that did not change are the same as in the snapshot before, and so is a map of which none changed. */
  readonly cluster: Cluster;
  /** All that there are now, those of the files or the server's answers too. */
  readonly problems: readonly Problem[];
  /** Whether everything asked for was read at least once. What is planned before is of a part of the cluster. */
  readonly synced: boolean;
  /** Present where the cluster cannot be read at the moment: since when, and why, for people. */
  readonly stale?: string;
  /** Where Calico's objects were read from, of an API server: crd.projectcalico.org/v1, or projectcalico.org/v3. */
  readonly apiGroup?: string;
}

export type SnapshotListener = (snapshot: Snapshot) => void;

export interface Datastore {
  /** Begins to read with the first listener. Each is called soon with what is known, and then after changes, at most once in some 50 ms. */
  watch(listener: SnapshotListener): Closable;
  /** Whether `cluster.pods` is to be filled. Off at first: pods are many. `synced` is false again until they were read. */
  wantPods(wanted: boolean): void;
  /** Sets these annotations of the Node and no others; null removes one. */
  patchNode(name: string, annotations: Readonly<Record<string, string | null>>): Promise<void>;
  /** As `patchNode`, labels; which is another right: to patch Nodes themselves. */
  labelNode(name: string, labels: Readonly<Record<string, string | null>>): Promise<void>;
  /** Never fails and need not be waited for: the same again raises a count, and what comes too fast is dropped. */
  reportEvent(event: NodeEvent): void;
  /** Calico's IPAM, for who allocates. */
  readonly objects: ObjectStore;
  /** Ends all of it, listeners too. */
  close(): Promise<void>;
}

export interface Closable {
  close(): void;
}

/** An Event of core/v1 on a Node. */
export interface NodeEvent {
  readonly node: string;
  readonly type: 'Normal' | 'Warning';
  /** CamelCase: a Problem's, for one. */
  readonly reason: string;
  readonly message: string;
}

export type ObjectKind = 'IPPool' | 'IPReservation' | 'IPAMConfig' | 'IPAMBlock' | 'IPAMHandle' | 'BlockAffinity';

/** Objects as they are stored, in whichever API group the cluster has. Names are within the kind: all of these are cluster-scoped. */
export interface ObjectStore {
  /** In which a few fields are written in other ways: crd.projectcalico.org/v1, or projectcalico.org/v3. */
  group(): Promise<'v1' | 'v3'>;
  /** @returns undefined where there is none */
  get(kind: ObjectKind, name: string): Promise<StoredObject | undefined>;
  list(kind: ObjectKind): Promise<readonly StoredObject[]>;
  /** Rejects with EEXIST where it is there already. */
  create(kind: ObjectKind, object: NewObject): Promise<StoredObject>;
  /** Rejects with ESTALE where somebody changed it since it was read, ENOENT where it is gone. */
  replace(kind: ObjectKind, object: StoredObject): Promise<StoredObject>;
  /** As `replace`; one that is gone already is no error. */
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
 * ENOENT no such object; EEXIST it is there already; ESTALE changed by somebody else meanwhile; EACCES not allowed (the message says what permission is
 * missing); EAGAIN the server is away or busy; EINVAL refused as it is.
 */
export type DatastoreErrorCode = 'ENOENT' | 'EEXIST' | 'ESTALE' | 'EACCES' | 'EAGAIN' | 'EINVAL';
