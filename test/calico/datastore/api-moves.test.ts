/**
 * Calico's move from crd.projectcalico.org/v1 to projectcalico.org/v3 and all that looks like it: the group that Calico uses is followed, and what goes with
 * its definition is no decision to switch anything off.
 */
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { openApiDatastore } from '../../../src/calico/datastore/api-datastore.ts';
import type { Datastore, Snapshot } from '../../../src/calico/datastore/datastore.ts';
import { failure, fastPace, list, ScriptedApi } from './scripted-api.ts';
import { block, felix, type GroupState, object, ScriptedCalico, STANDING, V1, V3 } from './scripted-calico.ts';
import { watching } from './watching.ts';

const OBJECTS = {
  felixconfigurations: [felix(true)],
  ippools: [object('pool', { cidr: '10.0.0.0/16' })],
  ipamblocks: [block(1), block(2)],
};
/** As it was copied: made anew. */
const COPIES = {
  felixconfigurations: [felix(true, 'copy')],
  ippools: [object('pool', { cidr: '10.0.0.0/16' }, 'copy')],
  ipamblocks: [block(1, 'copy-1'), block(2, 'copy-2')],
};
const FULL: GroupState = { definitions: STANDING, objects: OBJECTS, ready: true };
const LOCKED: GroupState = { ...FULL, ready: false };
const COPIED: GroupState = { definitions: STANDING, objects: COPIES, ready: true };
const EMPTY: GroupState = { definitions: STANDING };
/** The API server of Calico in front of crd.projectcalico.org/v1. */
const AGGREGATED: GroupState = {
  definitions: { felixconfigurations: 'stands', ippools: 'stands' },
  objects: { felixconfigurations: [felix(false)] },
  ready: true,
};

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

async function begin(env: Record<string, string> = {}) {
  const datastore = await openApiDatastore({ kubeconfig: api.kubeconfig, env, pace: fastPace(true) });
  open.push(datastore);
  const watch = watching(datastore);
  return { datastore, watch };
}

const isOn = ({ cluster }: Snapshot): boolean =>
  cluster.felixConfigurations.get('default')?.parameters.get('wireguardenabled') === 'true';
const isWhole = (snapshot: Snapshot): boolean =>
  isOn(snapshot) && snapshot.cluster.ipamBlocks.size >= 2 && snapshot.cluster.ipPools.size >= 1;
/** From when the cluster was read whole, nothing was missing for a moment. */
const wasAlwaysWhole = (snapshots: readonly Snapshot[]): boolean =>
  snapshots.filter(each => each.synced).every(isWhole);
/** What would have been believed by now. At a hundredth of the time. */
const aWhile = (seconds = 100): Promise<void> => new Promise(resolve => setTimeout(resolve, seconds * 10));

describe('the move', () => {
  test('as Calico does it: locked, copied, unlocked elsewhere, the old definitions deleted', async () => {
    calico.set(V1, FULL);
    const { watch } = await begin();
    expect((await watch.until(({ synced }) => synced)).apiGroup).toBe(V1);
    await calico.announce(V1, LOCKED);
    expect((await watch.until(({ stale }) => stale !== undefined)).stale).toMatch(/locked crd.projectcalico.org\/v1/);
    calico.set(V3, { ...EMPTY, ready: false });
    await aWhile(10);
    calico.set(V3, { ...COPIED, ready: false });
    await aWhile(10);
    expect(watch.snapshots.at(-1)!.apiGroup).toBe(V1);
    await calico.announce(V3, COPIED);
    await watch.until(({ apiGroup, stale }) => apiGroup === V3 && stale === undefined);
    await api.send(`/apis/${V3}/ipamblocks`, { type: 'ADDED', object: block(3) });
    await watch.until(({ cluster }) => cluster.ipamBlocks.size === 3);
    calico.set(V1, undefined);
    await aWhile();
    expect(watch.snapshots.at(-1)).toMatchObject({ apiGroup: V3, problems: [] });
    expect(wasAlwaysWhole(watch.snapshots)).toBe(true);
    // somebody's own deletion there is a decision
    await api.send(`/apis/${V3}/felixconfigurations`, { type: 'DELETED', object: COPIES.felixconfigurations[0] });
    await watch.until(({ cluster }) => cluster.felixConfigurations.size === 0);
  });

  test('without a ClusterInformation: the old group until it is gone, then the other', async () => {
    const bare = { definitions: STANDING, objects: OBJECTS };
    calico.set(V1, bare);
    const { watch } = await begin();
    await watch.until(({ synced }) => synced);
    calico.set(V3, { definitions: STANDING, objects: COPIES });
    await aWhile(10);
    expect(watch.snapshots.at(-1)!.apiGroup).toBe(V1);
    await calico.remove(V1, bare);
    await watch.until(({ apiGroup, stale, problems }) => apiGroup === V3 && !stale && problems.length === 0);
    expect(wasAlwaysWhole(watch.snapshots)).toBe(true);
  });

  test('what is not copied yet counts, where nothing says that all is', async () => {
    const bare = { definitions: STANDING, objects: OBJECTS };
    calico.set(V1, bare);
    const { watch } = await begin();
    await watch.until(({ synced }) => synced);
    calico.set(V3, { definitions: STANDING, objects: { ...COPIES, felixconfigurations: [], ipamblocks: [block(1)] } });
    await calico.remove(V1, bare);
    const { problems } = await watch.until(snapshot => snapshot.apiGroup === V3 && snapshot.problems.length === 2);
    expect(problems.map(({ object: of, reason }) => [of, reason])).toEqual([
      ['API/felixconfigurations', 'ObjectsHeld'],
      ['API/ipamblocks', 'ObjectsHeld'],
    ]);
    expect(problems[0]!.message).toMatch(/^"default" of felixconfigurations went with their definition/);
    expect(wasAlwaysWhole(watch.snapshots)).toBe(true);
  });

  test('back from v3 to v1, and no move where both are ready', async () => {
    calico.set(V1, LOCKED);
    calico.set(V3, COPIED);
    const { watch } = await begin();
    expect((await watch.until(({ synced }) => synced)).apiGroup).toBe(V3);
    await calico.announce(V3, COPIED);
    calico.set(V1, FULL);
    await calico.announce(V3, COPIED);
    await aWhile(10);
    expect(watch.snapshots.at(-1)!.apiGroup).toBe(V3);
    await calico.announce(V3, { ...COPIED, ready: false });
    await watch.until(({ apiGroup, stale }) => apiGroup === V1 && stale === undefined);
    calico.set(V3, undefined);
    await aWhile(10);
    expect(watch.snapshots.at(-1)!.apiGroup).toBe(V1);
    expect(wasAlwaysWhole(watch.snapshots)).toBe(true);
  });

  test('an end of the move before it is done: v1 is unlocked, v3 emptied', async () => {
    calico.set(V1, FULL);
    const { watch } = await begin();
    await watch.until(({ synced }) => synced);
    await calico.announce(V1, LOCKED);
    calico.set(V3, { ...COPIED, ready: false });
    await aWhile(10);
    calico.set(V3, EMPTY);
    await aWhile(10);
    await calico.announce(V1, FULL);
    await watch.until(({ apiGroup, stale }) => apiGroup === V1 && stale === undefined);
    expect(wasAlwaysWhole(watch.snapshots)).toBe(true);
  });

  test.each<[string, GroupState | undefined, GroupState | undefined, string]>([
    ['v3 is there and empty', FULL, EMPTY, V1],
    ['v1 is locked', LOCKED, undefined, V1],
    ['v3 is being filled', LOCKED, { ...EMPTY, ready: false }, V1],
    ['v3 is ready', LOCKED, COPIED, V3],
    ['v1 is being deleted', { ...LOCKED, definitions: { ippools: 'stands', ipamblocks: 'going' } }, COPIED, V3],
    [
      'v1 is being deleted, its ClusterInformation first',
      { ...EMPTY, definitions: { ipamblocks: 'going' } },
      COPIED,
      V3,
    ],
    ['v1 is gone', undefined, COPIED, V3],
    ['both are ready', FULL, COPIED, V1],
    ['v1 was made anew, and empty', EMPTY, COPIED, V3],
    ['v3 is the aggregated API server', FULL, AGGREGATED, V1],
    ['v3 is the aggregated API server, which says that it is ready', LOCKED, AGGREGATED, V1],
  ])('an agent that begins when %s', async (_, v1, v3, group) => {
    calico.set(V1, v1);
    calico.set(V3, v3);
    const { watch } = await begin();
    const { apiGroup } = await watch.until(snapshot => snapshot.synced);
    expect(apiGroup).toBe(group);
    expect(wasAlwaysWhole(watch.snapshots)).toBe(true);
  });

  test('CALICO_API_GROUP is the last word', async () => {
    calico.set(V1, LOCKED);
    calico.set(V3, { ...COPIED, objects: {} });
    const { watch } = await begin({ CALICO_API_GROUP: V1 });
    await watch.until(({ synced }) => synced);
    await calico.remove(V1, LOCKED);
    await aWhile();
    expect(watch.snapshots.at(-1)!.stale).toMatch(
      /does not have .* of crd.projectcalico.org\/v1 any more; what was known/,
    );
    expect(wasAlwaysWhole(watch.snapshots)).toBe(true);
  });

  test('the aggregated API server is never followed, neither locked nor when v1 is gone; away, it is in nobody’s way', async () => {
    calico.set(V1, FULL);
    calico.set(V3, AGGREGATED);
    api.always(`GET /apis/${V3}`, failure(503, 'ServiceUnavailable'));
    const { watch } = await begin();
    await watch.until(({ synced }) => synced);
    await calico.announce(V1, LOCKED);
    await aWhile(10);
    calico.set(V3, AGGREGATED);
    await aWhile(10);
    await calico.remove(V1, LOCKED);
    await aWhile();
    expect(watch.snapshots.at(-1)!.apiGroup).toBe(V1);
    expect(wasAlwaysWhole(watch.snapshots)).toBe(true);
    calico.set(V3, COPIED);
    await watch.until(({ apiGroup, stale }) => apiGroup === V3 && stale === undefined);
    expect(wasAlwaysWhole(watch.snapshots)).toBe(true);
  });
});

describe('rights', () => {
  test('a ClusterInformation that we may not read is a problem; when v1 goes, v3 is followed', async () => {
    const forbidden = { ...FULL, ready: 'forbidden' } as const;
    calico.set(V1, forbidden);
    calico.set(V3, { ...COPIED, ready: 'forbidden' });
    const { watch } = await begin();
    const { problems, apiGroup } = await watch.until(snapshot => snapshot.synced && snapshot.problems.length > 0);
    expect(apiGroup).toBe(V1);
    expect(problems).toMatchObject([{ object: 'API/clusterinformations', reason: 'AccessDenied' }]);
    await calico.remove(V1, forbidden);
    await watch.until(snapshot => snapshot.apiGroup === V3 && snapshot.stale === undefined);
    expect(wasAlwaysWhole(watch.snapshots)).toBe(true);
  });

  test('objects of v3 that we may not read: those of v1 count, and a problem says what is missing', async () => {
    calico.set(V1, FULL);
    const { watch } = await begin();
    await watch.until(({ synced }) => synced);
    calico.set(V3, COPIED);
    const refused = failure(403, 'Forbidden', 'ipamblocks is forbidden');
    api.always(`GET /apis/${V3}/ipamblocks`, refused);
    await calico.announce(V1, LOCKED);
    await watch.until(({ problems }) => problems.some(({ object: of }) => of === 'API/ipamblocks'));
    await calico.announce(V1, LOCKED);
    calico.set(V1, undefined);
    await aWhile();
    expect(watch.snapshots.at(-1)!.stale).toMatch(/ipamblocks is forbidden/);
    api.always(`GET /apis/${V3}/ipamblocks`, list(COPIES.ipamblocks, '900'));
    await watch.until(({ stale, problems }) => stale === undefined && problems.length === 0);
    expect(wasAlwaysWhole(watch.snapshots)).toBe(true);
  });
});

describe('definitions that go', () => {
  test('all of them, and nothing else is there: what was known counts, for ever', async () => {
    calico.set(V1, FULL);
    const { watch } = await begin();
    await watch.until(({ synced }) => synced);
    await calico.remove(V1, FULL);
    await watch.until(({ stale }) => stale?.includes('of crd.projectcalico.org/v1 any more; what was known') === true);
    await aWhile(300);
    expect(watch.snapshots.at(-1)!.synced).toBe(true);
    expect(wasAlwaysWhole(watch.snapshots)).toBe(true);
  });

  test.each(['felixconfigurations', 'ippools', 'ipamblocks'] as const)('%s alone', async plural => {
    calico.set(V1, FULL);
    const { watch } = await begin();
    await watch.until(({ synced }) => synced);
    await calico.remove(V1, FULL, [plural]);
    await watch.until(({ stale }) => stale?.includes(`the server does not have ${plural} of`) === true);
    await aWhile();
    expect(watch.snapshots.at(-1)!.apiGroup).toBe(V1);
    expect(wasAlwaysWhole(watch.snapshots)).toBe(true);
    // the others are followed
    const other = plural === 'ipamblocks' ? 'ippools' : 'ipamblocks';
    const more = other === 'ippools' ? object('more', { cidr: '10.9.0.0/16' }) : block(9);
    await api.send(`/apis/${V1}/${other}`, { type: 'ADDED', object: more });
    await watch.until(({ cluster }) => cluster.ipPools.size + cluster.ipamBlocks.size === 4);
  });

  test('made anew and empty: what was known counts until it is created again, whatever it says then', async () => {
    calico.set(V1, FULL);
    const { watch } = await begin();
    await watch.until(({ synced }) => synced);
    await calico.remove(V1, FULL);
    await watch.until(({ stale }) => stale !== undefined);
    calico.set(V1, EMPTY);
    const { problems } = await watch.until(({ stale, problems: all }) => stale === undefined && all.length === 3);
    expect(problems.every(({ reason }) => reason === 'ObjectsHeld')).toBe(true);
    await aWhile();
    expect(wasAlwaysWhole(watch.snapshots)).toBe(true);
    await api.send(`/apis/${V1}/felixconfigurations`, { type: 'ADDED', object: felix(false, 'new') });
    await watch.until(snapshot => !isOn(snapshot) && snapshot.problems.length === 2);
    await api.send(`/apis/${V1}/felixconfigurations`, { type: 'DELETED', object: felix(false, 'new') });
    await watch.until(({ cluster }) => cluster.felixConfigurations.size === 0);
    expect(watch.snapshots.at(-1)!.cluster.ipamBlocks.size).toBe(2);
  });

  test('made anew before discovery said a word: the watches of before end', async () => {
    calico.set(V1, FULL);
    const { watch } = await begin();
    await watch.until(({ synced }) => synced);
    for (const plural of ['felixconfigurations', 'ipamblocks'] as const) {
      for (const each of OBJECTS[plural]) await api.send(`/apis/${V1}/${plural}`, { type: 'DELETED', object: each });
      api.always(`GET /apis/${V1}/${plural}`, list([], '1000'));
      // what was watched is not there to go on from
      api.next(`WATCH /apis/${V1}/${plural}`, failure(410, 'Expired'));
    }
    for (const plural of ['felixconfigurations', 'ipamblocks']) await api.end(`/apis/${V1}/${plural}`);
    await watch.until(({ problems }) => problems.length === 2);
    await aWhile();
    expect(wasAlwaysWhole(watch.snapshots)).toBe(true);
  });

  test('a list that begins while they go is not taken for all that there is', async () => {
    calico.set(V1, {
      ...FULL,
      definitions: { ...STANDING, felixconfigurations: 'going', ipamblocks: 'going' },
      objects: { ippools: OBJECTS.ippools, ipamblocks: [block(2)] },
    });
    const { watch } = await begin();
    await watch.until(({ stale }) => stale?.includes('is deleting the definition') === true);
    await aWhile(20);
    expect(watch.snapshots.some(({ synced }) => synced)).toBe(false);
    calico.set(V3, COPIED);
    await watch.until(({ synced }) => synced);
    expect(wasAlwaysWhole(watch.snapshots)).toBe(true);
  });

  test('discovery that does not answer: deletions wait, and are said to', async () => {
    calico.set(V1, FULL);
    const { watch } = await begin();
    await watch.until(({ synced }) => synced);
    api.always(`GET /apis/${V1}`, failure(500, 'InternalError'));
    await api.send(`/apis/${V1}/felixconfigurations`, { type: 'DELETED', object: OBJECTS.felixconfigurations[0] });
    await watch.until(
      ({ stale }) => stale?.includes('felixconfigurations were deleted, but it cannot be found out') === true,
    );
    await aWhile();
    expect(wasAlwaysWhole(watch.snapshots)).toBe(true);
    calico.set(V1, FULL);
    await watch.until(snapshot => !isOn(snapshot) && snapshot.stale === undefined);
  });
});

describe('deletions by somebody count', () => {
  test('of a FelixConfiguration, of one block of two, and of one that comes again meanwhile', async () => {
    calico.set(V1, FULL);
    const { watch } = await begin();
    await watch.until(({ synced }) => synced);
    await api.send(`/apis/${V1}/ipamblocks`, { type: 'DELETED', object: OBJECTS.ipamblocks[0] });
    await watch.until(({ cluster }) => cluster.ipamBlocks.size === 1);
    await api.send(`/apis/${V1}/felixconfigurations`, { type: 'DELETED', object: OBJECTS.felixconfigurations[0] });
    await watch.until(({ cluster }) => cluster.felixConfigurations.size === 0);
    const before = watch.snapshots.length;
    await api.send(
      `/apis/${V1}/ipamblocks`,
      { type: 'DELETED', object: OBJECTS.ipamblocks[1] },
      { type: 'ADDED', object: block(2, 'again') },
    );
    await aWhile(20);
    expect(watch.snapshots.slice(before).every(({ cluster }) => cluster.ipamBlocks.size === 1)).toBe(true);
  });

  test('those that nobody saw, where another object lived on; where none did, they are held', async () => {
    calico.set(V1, FULL);
    const { watch } = await begin();
    await watch.until(({ synced }) => synced);
    const relist = async (plural: string, objects: readonly unknown[]): Promise<void> => {
      api.always(`GET /apis/${V1}/${plural}`, list(objects, '2000'));
      api.next(`WATCH /apis/${V1}/${plural}`, failure(410, 'Expired'));
      await api.end(`/apis/${V1}/${plural}`);
    };
    await relist('ipamblocks', [OBJECTS.ipamblocks[1]]);
    await watch.until(({ cluster }) => cluster.ipamBlocks.size === 1);
    await relist('felixconfigurations', []);
    await watch.until(({ problems }) => problems.some(({ reason }) => reason === 'ObjectsHeld'));
    expect(isOn(watch.snapshots.at(-1)!)).toBe(true);
  });
});
