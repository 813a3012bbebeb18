/**
 * Calico on a ScriptedApi: the server's groups with their CRDs, objects and ClusterInformation, all
 * changeable.
 */
import { afterEach, beforeEach } from 'vitest';
import { openApiDatastore } from '../../../../src/calico/datastore/api/datastore.ts';
import type { Datastore, Snapshot } from '../../../../src/calico/datastore/datastore.ts';
import type { CalicoGroup } from '../../../../src/calico/datastore/resource-kinds.ts';
import { type Answer, failure, fastPace, json, list, ScriptedApi } from './scripted-api.ts';
import { type Watching, watching } from './watching.ts';

export const [V1, V3] = ['crd.projectcalico.org/v1', 'projectcalico.org/v3'] as const;
const PLURALS = ['felixconfigurations', 'ippools', 'ipamblocks'] as const;
export type Plural = (typeof PLURALS)[number];
const ALL = ['get', 'list', 'watch', 'create', 'update', 'patch', 'delete', 'deletecollection'];
const GOING = ['get', 'list', 'watch', 'delete', 'deletecollection'];

export interface GroupState {
  /**
   * `datastoreReady`; undefined without a ClusterInformation; unreadable without the permission.
   */
  readonly ready?: boolean | 'forbidden';
  /** The CRDs; without any, the group does not exist. */
  readonly definitions: Readonly<Partial<Record<Plural, 'established' | 'terminating'>>>;
  readonly objects?: Readonly<Partial<Record<Plural, readonly unknown[]>>>;
}

export const STANDING = {
  felixconfigurations: 'established',
  ippools: 'established',
  ipamblocks: 'established',
} as const;

let version = 100;
export const object = (name: string, spec: object, uid = `uid-${name}`): unknown => ({
  metadata: { name, uid, resourceVersion: String(version++) },
  spec,
});
export const block = (number: number, uid?: string): unknown =>
  object(
    `10-0-${number}-0-26`,
    { cidr: `10.0.${number}.0/26`, affinity: `host:n${number}`, allocations: [], unallocated: [], attributes: [] },
    uid,
  );
export const felix = (wireguardEnabled: boolean, uid?: string): unknown => object('default', { wireguardEnabled }, uid);

export const OBJECTS = {
  felixconfigurations: [felix(true)],
  ippools: [object('pool', { cidr: '10.0.0.0/16' })],
  ipamblocks: [block(1), block(2)],
};
/** A copied object, with another uid. */
export const COPIES = {
  felixconfigurations: [felix(true, 'copy')],
  ippools: [object('pool', { cidr: '10.0.0.0/16' }, 'copy')],
  ipamblocks: [block(1, 'copy-1'), block(2, 'copy-2')],
};
export const FULL: GroupState = { definitions: STANDING, objects: OBJECTS, ready: true };
export const LOCKED: GroupState = { ...FULL, ready: false };
export const COPIED: GroupState = { definitions: STANDING, objects: COPIES, ready: true };
export const EMPTY: GroupState = { definitions: STANDING };
/** Calico's aggregated API server in front of crd.projectcalico.org/v1. */
export const AGGREGATED: GroupState = {
  definitions: { felixconfigurations: 'established', ippools: 'established' },
  objects: { felixconfigurations: [felix(false)] },
  ready: true,
};

/** A server per test, and the datastores that read it. */
export function useCalico(): {
  readonly api: ScriptedApi;
  readonly calico: ScriptedCalico;
  begin(env?: Record<string, string>): Promise<{ readonly watch: Watching }>;
} {
  let api: ScriptedApi;
  let calico: ScriptedCalico;
  let open: Datastore[] = [];
  beforeEach(async () => {
    api = new ScriptedApi();
    calico = new ScriptedCalico(api);
    await api.start();
  });
  afterEach(async () => {
    await Promise.all(open.map(datastore => datastore.close()));
    open = [];
    await api.close();
  });
  return {
    get api() {
      return api;
    },
    get calico() {
      return calico;
    },
    async begin(env = {}) {
      const datastore = await openApiDatastore({ kubeconfig: api.kubeconfig, env, pace: fastPace(true) });
      open.push(datastore);
      return { watch: watching(datastore) };
    },
  };
}

export const isOn = ({ cluster }: Snapshot): boolean =>
  cluster.felixConfigurations.get('default')?.parameters.get('wireguardenabled') === 'true';
const isWhole = (snapshot: Snapshot): boolean =>
  isOn(snapshot) && snapshot.cluster.ipamBlocks.size >= 2 && snapshot.cluster.ipPools.size >= 1;
/** Checks that nothing was missing at any moment since the first sync. */
export const wasAlwaysWhole = (snapshots: readonly Snapshot[]): boolean =>
  snapshots.filter(each => each.synced).every(isWhole);
/** Waits, at a hundredth of the time, until any pending decision would have been made. */
export const aWhile = (seconds = 100): Promise<void> => new Promise(resolve => setTimeout(resolve, seconds * 10));

export class ScriptedCalico {
  readonly #api: ScriptedApi;
  readonly #groups = new Map<CalicoGroup, GroupState>();

  constructor(api: ScriptedApi) {
    this.#api = api;
  }

  /** Changes a group for later requests, without events on watches. Undefined removes the group. */
  set(group: CalicoGroup, state: GroupState | undefined): void {
    if (state) this.#groups.set(group, state);
    else this.#groups.delete(group);
    const gone = failure(404, 'NotFound', 'the server could not find the requested resource');
    const names = [...this.#groups.keys()].map(each => ({ name: each.split('/')[0] }));
    this.#api.always('GET /apis', json({ groups: [{ name: 'apps' }, ...names] }));
    const known = PLURALS.filter(plural => state?.definitions[plural]);
    const resources = known.map(name => ({ name, verbs: state!.definitions[name] === 'terminating' ? GOING : ALL }));
    this.#api.always(`GET /apis/${group}`, state ? json({ kind: 'APIResourceList', resources }) : gone);
    for (const plural of PLURALS) {
      const answers = known.includes(plural) ? list(state!.objects?.[plural] ?? [], String(version++)) : gone;
      this.#api.always(`GET /apis/${group}/${plural}`, answers);
      this.#api.always(`WATCH /apis/${group}/${plural}`, known.includes(plural) ? undefined : gone);
    }
    this.#api.always(`GET /apis/${group}/clusterinformations/default`, state ? ready(state) : gone);
    this.#api.always(`WATCH /apis/${group}/clusterinformations`, state ? undefined : gone);
  }

  /** Like `set`, with an event on watches of the ClusterInformation. */
  async announce(group: CalicoGroup, state: GroupState): Promise<void> {
    this.set(group, state);
    await this.#api.send(`/apis/${group}/clusterinformations`, { type: 'MODIFIED', object: object('default', {}) });
  }

  /** Deletes CRDs like a server: first the objects one by one, then the CRD, then its watches. */
  async remove(group: CalicoGroup, state: GroupState, plurals: readonly Plural[] = PLURALS): Promise<void> {
    const definitions = { ...state.definitions };
    const objects = { ...state.objects };
    for (const plural of plurals) {
      definitions[plural] = 'terminating';
      this.set(group, { ...state, definitions, objects });
      for (const each of objects[plural] ?? [])
        await this.#api.send(`/apis/${group}/${plural}`, { type: 'DELETED', object: each });
      delete definitions[plural];
      delete objects[plural];
    }
    this.set(group, Object.keys(definitions).length > 0 ? { ...state, definitions, objects } : undefined);
    for (const plural of plurals) await this.#api.end(`/apis/${group}/${plural}`);
  }
}

function ready({ ready: says }: GroupState): Answer {
  if (says === 'forbidden') return failure(403, 'Forbidden', 'clusterinformations is forbidden');
  if (says === undefined) return failure(404, 'NotFound');
  return json(object('default', { datastoreReady: says }));
}
