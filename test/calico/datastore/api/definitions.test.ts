/**
 * Objects that vanish with their CRD must not switch anything off; objects deleted on purpose must.
 */
import { describe, expect, test } from 'vitest';
import { failure, json, list } from './scripted-api.ts';
import {
  aWhile,
  block,
  COPIED,
  COPIES,
  EMPTY,
  FULL,
  felix,
  isOn,
  OBJECTS,
  object,
  STANDING,
  useCalico,
  V1,
  V3,
  wasAlwaysWhole,
} from './scripted-calico.ts';

const GOING = { ...STANDING, felixconfigurations: 'terminating', ipamblocks: 'terminating' } as const;
const scene = useCalico();

describe('deleted CRDs', () => {
  test('all of them, without another group: the known state stays in effect for ever', async () => {
    scene.calico.set(V1, FULL);
    const { watch } = await scene.begin();
    await watch.until(({ synced }) => synced);
    await scene.calico.remove(V1, FULL);
    await watch.until(({ stale }) => stale?.includes('of crd.projectcalico.org/v1; their last known state') === true);
    await aWhile(300);
    expect(watch.snapshots.at(-1)!.synced).toBe(true);
    expect(wasAlwaysWhole(watch.snapshots)).toBe(true);
  });

  test.each(['felixconfigurations', 'ippools', 'ipamblocks'] as const)('%s alone', async plural => {
    scene.calico.set(V1, FULL);
    const { watch } = await scene.begin();
    await watch.until(({ synced }) => synced);
    await scene.calico.remove(V1, FULL, [plural]);
    await watch.until(({ stale }) => stale?.includes(`the server no longer has ${plural} of`) === true);
    await aWhile();
    expect(watch.snapshots.at(-1)!.apiGroup).toBe(V1);
    expect(wasAlwaysWhole(watch.snapshots)).toBe(true);
    // The other kinds are still watched.
    const other = plural === 'ipamblocks' ? 'ippools' : 'ipamblocks';
    const more = other === 'ippools' ? object('more', { cidr: '10.9.0.0/16' }) : block(9);
    await scene.api.send(`/apis/${V1}/${other}`, { type: 'ADDED', object: more });
    await watch.until(({ cluster }) => cluster.ipPools.size + cluster.ipamBlocks.size === 4);
  });

  test('re-created and empty: the known state stays in effect until objects are created again', async () => {
    scene.calico.set(V1, FULL);
    const { watch } = await scene.begin();
    await watch.until(({ synced }) => synced);
    await scene.calico.remove(V1, FULL);
    await watch.until(({ stale }) => stale !== undefined);
    scene.calico.set(V1, EMPTY);
    const { problems } = await watch.until(({ stale, problems: all }) => stale === undefined && all.length === 3);
    expect(problems.every(({ reason }) => reason === 'ObjectsHeld')).toBe(true);
    await aWhile();
    expect(wasAlwaysWhole(watch.snapshots)).toBe(true);
    await scene.api.send(`/apis/${V1}/felixconfigurations`, { type: 'ADDED', object: felix(false, 'new') });
    await watch.until(snapshot => !isOn(snapshot) && snapshot.problems.length === 2);
    await scene.api.send(`/apis/${V1}/felixconfigurations`, { type: 'DELETED', object: felix(false, 'new') });
    await watch.until(({ cluster }) => cluster.felixConfigurations.size === 0);
    expect(watch.snapshots.at(-1)!.cluster.ipamBlocks.size).toBe(2);
  });

  test('re-created before discovery reports it: the old watches end', async () => {
    scene.calico.set(V1, FULL);
    const { watch } = await scene.begin();
    await watch.until(({ synced }) => synced);
    for (const plural of ['felixconfigurations', 'ipamblocks'] as const) {
      for (const each of OBJECTS[plural])
        await scene.api.send(`/apis/${V1}/${plural}`, { type: 'DELETED', object: each });
      scene.api.always(`GET /apis/${V1}/${plural}`, list([], '1000'));
      // The old version no longer exists, so the watch cannot continue.
      scene.api.next(`WATCH /apis/${V1}/${plural}`, failure(410, 'Expired'));
    }
    for (const plural of ['felixconfigurations', 'ipamblocks']) await scene.api.end(`/apis/${V1}/${plural}`);
    await watch.until(({ problems }) => problems.length === 2);
    await aWhile();
    expect(wasAlwaysWhole(watch.snapshots)).toBe(true);
  });

  test('re-created, and a watch opens only much later: deletions stay pending until then', async () => {
    scene.calico.set(V1, FULL);
    const { watch } = await scene.begin();
    await watch.until(({ synced }) => synced);
    const path = `/apis/${V1}/felixconfigurations`;
    await scene.api.send(path, { type: 'DELETED', object: OBJECTS.felixconfigurations[0] });
    scene.api.always(`GET ${path}`, list([], '1000'));
    const busy = failure(503, 'ServiceUnavailable', 'busy', { 'retry-after': '20' });
    scene.api.next(`WATCH ${path}`, busy, busy, failure(410, 'Expired'));
    await scene.api.end(path);
    await watch.until(({ problems }) => problems.length === 1);
    expect(wasAlwaysWhole(watch.snapshots)).toBe(true);
  });

  test('discovery that lags at the first request', async () => {
    scene.calico.set(V1, FULL);
    const { watch } = await scene.begin();
    await watch.until(({ synced }) => synced);
    scene.calico.set(V1, { ...FULL, definitions: GOING, objects: { ippools: OBJECTS.ippools } });
    const behind = json({ resources: [{ name: 'felixconfigurations' }, { name: 'ipamblocks' }] });
    // One deletion by an event,
    scene.api.next(`GET /apis/${V1}`, behind);
    await scene.api.send(`/apis/${V1}/felixconfigurations`, {
      type: 'DELETED',
      object: OBJECTS.felixconfigurations[0],
    });
    await aWhile(20);
    // and one by a list without the object.
    scene.api.next(`GET /apis/${V1}`, behind);
    scene.api.always(`GET /apis/${V1}/ipamblocks`, list([OBJECTS.ipamblocks[1]], '1000'));
    scene.api.next(`WATCH /apis/${V1}/ipamblocks`, failure(410, 'Expired'));
    await scene.api.end(`/apis/${V1}/ipamblocks`);
    await watch.until(({ stale }) => stale?.includes('is deleting the CRD') === true);
    await aWhile(20);
    expect(wasAlwaysWhole(watch.snapshots)).toBe(true);
  });

  test('their watches stay open for long: finds the other group nevertheless', async () => {
    const bare = { definitions: STANDING, objects: OBJECTS };
    scene.calico.set(V1, bare);
    const { watch } = await scene.begin();
    await watch.until(({ synced }) => synced);
    await scene.api.until(() => scene.api.count(`WATCH /apis/${V1}/ipamblocks`) > 0);
    scene.calico.set(V1, undefined);
    scene.calico.set(V3, { definitions: STANDING, objects: COPIES });
    await scene.api.send(`/apis/${V1}/ipamblocks`, { type: 'DELETED', object: OBJECTS.ipamblocks[0] });
    await watch.until(({ apiGroup }) => apiGroup === V3);
    expect(wasAlwaysWhole(watch.snapshots)).toBe(true);
  });

  test('a list that begins during their deletion is not taken as complete', async () => {
    scene.calico.set(V1, {
      ...FULL,
      definitions: GOING,
      objects: { ippools: OBJECTS.ippools, ipamblocks: [block(2)] },
    });
    const { watch } = await scene.begin();
    await watch.until(({ stale }) => stale?.includes('is deleting the CRD') === true);
    await aWhile(20);
    expect(watch.snapshots.some(({ synced }) => synced)).toBe(false);
    scene.calico.set(V3, COPIED);
    await watch.until(({ synced }) => synced);
    expect(wasAlwaysWhole(watch.snapshots)).toBe(true);
  });

  test('discovery that does not answer: deletions stay pending, and are reported', async () => {
    scene.calico.set(V1, FULL);
    const { watch } = await scene.begin();
    await watch.until(({ synced }) => synced);
    scene.api.always(`GET /apis/${V1}`, failure(500, 'InternalError'));
    await scene.api.send(`/apis/${V1}/felixconfigurations`, {
      type: 'DELETED',
      object: OBJECTS.felixconfigurations[0],
    });
    await watch.until(
      ({ stale }) => stale?.includes('felixconfigurations were deleted, but the agent cannot tell') === true,
    );
    await aWhile();
    expect(wasAlwaysWhole(watch.snapshots)).toBe(true);
    scene.calico.set(V1, FULL);
    await watch.until(snapshot => !isOn(snapshot) && snapshot.stale === undefined);
  });
});

describe('deletions on purpose take effect', () => {
  test('of a FelixConfiguration, of one block of two, and of one that is re-created in between', async () => {
    scene.calico.set(V1, FULL);
    const { watch } = await scene.begin();
    await watch.until(({ synced }) => synced);
    await scene.api.send(`/apis/${V1}/ipamblocks`, { type: 'DELETED', object: OBJECTS.ipamblocks[0] });
    await watch.until(({ cluster }) => cluster.ipamBlocks.size === 1);
    await scene.api.send(`/apis/${V1}/felixconfigurations`, {
      type: 'DELETED',
      object: OBJECTS.felixconfigurations[0],
    });
    await watch.until(({ cluster }) => cluster.felixConfigurations.size === 0);
    const before = watch.snapshots.length;
    await scene.api.send(
      `/apis/${V1}/ipamblocks`,
      { type: 'DELETED', object: OBJECTS.ipamblocks[1] },
      { type: 'ADDED', object: block(2, 'again') },
    );
    await aWhile(20);
    expect(watch.snapshots.slice(before).every(({ cluster }) => cluster.ipamBlocks.size === 1)).toBe(true);
  });

  test('unobserved ones, if another object survived; otherwise the objects are held', async () => {
    scene.calico.set(V1, FULL);
    const { watch } = await scene.begin();
    await watch.until(({ synced }) => synced);
    const relist = async (plural: string, objects: readonly unknown[]): Promise<void> => {
      scene.api.always(`GET /apis/${V1}/${plural}`, list(objects, '2000'));
      scene.api.next(`WATCH /apis/${V1}/${plural}`, failure(410, 'Expired'));
      await scene.api.end(`/apis/${V1}/${plural}`);
    };
    await relist('ipamblocks', [OBJECTS.ipamblocks[1]]);
    await watch.until(({ cluster }) => cluster.ipamBlocks.size === 1);
    await relist('felixconfigurations', []);
    await watch.until(({ problems }) => problems.some(({ reason }) => reason === 'ObjectsHeld'));
    expect(isOn(watch.snapshots.at(-1)!)).toBe(true);
  });
});
