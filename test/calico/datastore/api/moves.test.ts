/** Follows Calico's move from crd.projectcalico.org/v1 to projectcalico.org/v3, and back. */
import { describe, expect, test } from 'vitest';
import { failure, list } from './scripted-api.ts';
import {
  AGGREGATED,
  aWhile,
  block,
  COPIED,
  COPIES,
  EMPTY,
  FULL,
  type GroupState,
  LOCKED,
  OBJECTS,
  STANDING,
  useCalico,
  V1,
  V3,
  wasAlwaysWhole,
} from './scripted-calico.ts';

const scene = useCalico();

describe('the move', () => {
  test('as Calico does it: locks, copies, unlocks the new group, deletes the old CRDs', async () => {
    scene.calico.set(V1, FULL);
    const { watch } = await scene.begin();
    expect((await watch.until(({ synced }) => synced)).apiGroup).toBe(V1);
    await scene.calico.announce(V1, LOCKED);
    expect((await watch.until(({ stale }) => stale !== undefined)).stale).toMatch(/locked crd.projectcalico.org\/v1/);
    scene.calico.set(V3, { ...EMPTY, ready: false });
    await aWhile(10);
    scene.calico.set(V3, { ...COPIED, ready: false });
    await aWhile(10);
    expect(watch.snapshots.at(-1)!.apiGroup).toBe(V1);
    await scene.calico.announce(V3, COPIED);
    await watch.until(({ apiGroup, stale }) => apiGroup === V3 && stale === undefined);
    await scene.api.send(`/apis/${V3}/ipamblocks`, { type: 'ADDED', object: block(3) });
    await watch.until(({ cluster }) => cluster.ipamBlocks.size === 3);
    scene.calico.set(V1, undefined);
    await aWhile();
    expect(watch.snapshots.at(-1)).toMatchObject({ apiGroup: V3, problems: [] });
    expect(wasAlwaysWhole(watch.snapshots)).toBe(true);
    // A deletion on purpose there takes effect.
    await scene.api.send(`/apis/${V3}/felixconfigurations`, { type: 'DELETED', object: COPIES.felixconfigurations[0] });
    await watch.until(({ cluster }) => cluster.felixConfigurations.size === 0);
  });

  test('without a ClusterInformation: the old group until it is gone, then the other', async () => {
    const bare = { definitions: STANDING, objects: OBJECTS };
    scene.calico.set(V1, bare);
    const { watch } = await scene.begin();
    await watch.until(({ synced }) => synced);
    scene.calico.set(V3, { definitions: STANDING, objects: COPIES });
    await aWhile(10);
    expect(watch.snapshots.at(-1)!.apiGroup).toBe(V1);
    await scene.calico.remove(V1, bare);
    await watch.until(({ apiGroup, stale, problems }) => apiGroup === V3 && !stale && problems.length === 0);
    expect(wasAlwaysWhole(watch.snapshots)).toBe(true);
  });

  test('objects not copied yet stay in effect while nothing declares the copy complete', async () => {
    const bare = { definitions: STANDING, objects: OBJECTS };
    scene.calico.set(V1, bare);
    const { watch } = await scene.begin();
    await watch.until(({ synced }) => synced);
    scene.calico.set(V3, {
      definitions: STANDING,
      objects: { ...COPIES, felixconfigurations: [], ipamblocks: [block(1)] },
    });
    await scene.calico.remove(V1, bare);
    const { problems } = await watch.until(snapshot => snapshot.apiGroup === V3 && snapshot.problems.length === 2);
    expect(problems.map(({ object: of, reason }) => [of, reason])).toEqual([
      ['API/felixconfigurations', 'ObjectsHeld'],
      ['API/ipamblocks', 'ObjectsHeld'],
    ]);
    expect(problems[0]!.message).toMatch(/^"default" of felixconfigurations were deleted with their CRD/);
    expect(wasAlwaysWhole(watch.snapshots)).toBe(true);
  });

  test('one kind is missing first: reads the others in the new group; objects not copied stay in effect', async () => {
    scene.calico.set(V1, { definitions: STANDING, objects: OBJECTS });
    const { watch } = await scene.begin();
    await watch.until(({ synced }) => synced);
    scene.calico.set(V1, undefined);
    scene.calico.set(V3, { definitions: STANDING, objects: { ippools: COPIES.ippools } });
    await scene.api.end(`/apis/${V1}/ippools`);
    await watch.until(({ apiGroup, problems }) => apiGroup === V3 && problems.length === 2);
    expect(wasAlwaysWhole(watch.snapshots)).toBe(true);
  });

  test('a deletion in the old group while the new one is unreadable', async () => {
    scene.calico.set(V1, FULL);
    const { watch } = await scene.begin();
    await watch.until(({ synced }) => synced);
    await scene.api.until(() => scene.api.count(`WATCH /apis/${V1}/felixconfigurations`) > 0);
    scene.calico.set(V1, LOCKED);
    scene.calico.set(V3, COPIED);
    const path = `/apis/${V3}/felixconfigurations`;
    scene.api.always(`GET ${path}`, failure(403, 'Forbidden'));
    // No watch continues from it, so the deletion is not confirmed before the move.
    const old = `/apis/${V1}/felixconfigurations`;
    scene.api.always(`WATCH ${old}`, failure(503, 'ServiceUnavailable', 'busy', { 'retry-after': '100' }));
    await scene.api.send(old, { type: 'DELETED', object: OBJECTS.felixconfigurations[0] });
    await scene.api.end(old);
    await scene.api.send(`/apis/${V1}/clusterinformations`, { type: 'MODIFIED', object: {} });
    await watch.until(({ problems }) => problems.length === 1);
    await aWhile();
    expect(wasAlwaysWhole(watch.snapshots)).toBe(true);
    scene.api.always(`GET ${path}`, list([], '900'));
    await watch.until(({ cluster }) => cluster.felixConfigurations.size === 0);
  });

  test('back from v3 to v1, and no move while both are ready', async () => {
    scene.calico.set(V1, LOCKED);
    scene.calico.set(V3, COPIED);
    const { watch } = await scene.begin();
    expect((await watch.until(({ synced }) => synced)).apiGroup).toBe(V3);
    await scene.calico.announce(V3, COPIED);
    scene.calico.set(V1, FULL);
    await scene.calico.announce(V3, COPIED);
    await aWhile(10);
    expect(watch.snapshots.at(-1)!.apiGroup).toBe(V3);
    await scene.calico.announce(V3, { ...COPIED, ready: false });
    await watch.until(({ apiGroup, stale }) => apiGroup === V1 && stale === undefined);
    scene.calico.set(V3, undefined);
    await aWhile(10);
    expect(watch.snapshots.at(-1)!.apiGroup).toBe(V1);
    expect(wasAlwaysWhole(watch.snapshots)).toBe(true);
  });

  test('an aborted move: v1 is unlocked, v3 emptied', async () => {
    scene.calico.set(V1, FULL);
    const { watch } = await scene.begin();
    await watch.until(({ synced }) => synced);
    await scene.calico.announce(V1, LOCKED);
    scene.calico.set(V3, { ...COPIED, ready: false });
    await aWhile(10);
    scene.calico.set(V3, EMPTY);
    await aWhile(10);
    await scene.calico.announce(V1, FULL);
    await watch.until(({ apiGroup, stale }) => apiGroup === V1 && stale === undefined);
    expect(wasAlwaysWhole(watch.snapshots)).toBe(true);
  });

  test.each<[string, GroupState | undefined, GroupState | undefined, string]>([
    ['v3 exists and is empty', FULL, EMPTY, V1],
    ['v1 is locked', LOCKED, undefined, V1],
    ['v3 is being filled', LOCKED, { ...EMPTY, ready: false }, V1],
    ['v3 is ready', LOCKED, COPIED, V3],
    [
      'v1 is being deleted',
      { ...LOCKED, definitions: { ippools: 'established', ipamblocks: 'terminating' } },
      COPIED,
      V3,
    ],
    [
      'v1 is being deleted, its ClusterInformation first',
      { ...EMPTY, definitions: { ipamblocks: 'terminating' } },
      COPIED,
      V3,
    ],
    ['v1 is gone', undefined, COPIED, V3],
    ['both are ready', FULL, COPIED, V1],
    ['v1 was re-created, and is empty', EMPTY, COPIED, V3],
    ['v3 is the aggregated API server', FULL, AGGREGATED, V1],
    ['v3 is the aggregated API server, which reports ready', LOCKED, AGGREGATED, V1],
  ])('an agent that begins when %s', async (_, v1, v3, group) => {
    scene.calico.set(V1, v1);
    scene.calico.set(V3, v3);
    const { watch } = await scene.begin();
    const { apiGroup } = await watch.until(snapshot => snapshot.synced);
    expect(apiGroup).toBe(group);
    expect(wasAlwaysWhole(watch.snapshots)).toBe(true);
  });

  test('CALICO_API_GROUP takes precedence', async () => {
    scene.calico.set(V1, LOCKED);
    scene.calico.set(V3, { ...COPIED, objects: {} });
    const { watch } = await scene.begin({ CALICO_API_GROUP: V1 });
    await watch.until(({ synced }) => synced);
    await scene.calico.remove(V1, LOCKED);
    await aWhile();
    expect(watch.snapshots.at(-1)!.stale).toMatch(
      /no longer has .* of crd.projectcalico.org\/v1; their last known state/,
    );
    expect(wasAlwaysWhole(watch.snapshots)).toBe(true);
  });

  test('the aggregated API server is unreachable, and v1 locked, when an agent starts', async () => {
    scene.calico.set(V1, LOCKED);
    scene.calico.set(V3, AGGREGATED);
    scene.api.always(`GET /apis/${V3}`, failure(503, 'ServiceUnavailable'));
    const { watch } = await scene.begin();
    await watch.until(({ synced, apiGroup }) => synced && apiGroup === V1);
    expect(wasAlwaysWhole(watch.snapshots)).toBe(true);
  });

  test('never follows the aggregated API server, even if v1 is locked or gone; unreachable, it blocks nothing', async () => {
    scene.calico.set(V1, FULL);
    scene.calico.set(V3, AGGREGATED);
    scene.api.always(`GET /apis/${V3}`, failure(503, 'ServiceUnavailable'));
    const { watch } = await scene.begin();
    await watch.until(({ synced }) => synced);
    // Irrelevant while Calico uses v1.
    expect(scene.api.count(`GET /apis/${V3}`)).toBe(0);
    await scene.calico.announce(V1, LOCKED);
    await aWhile(10);
    scene.calico.set(V3, AGGREGATED);
    await aWhile(10);
    await scene.calico.remove(V1, LOCKED);
    await aWhile();
    expect(watch.snapshots.at(-1)!.apiGroup).toBe(V1);
    expect(wasAlwaysWhole(watch.snapshots)).toBe(true);
    scene.calico.set(V3, COPIED);
    await watch.until(({ apiGroup, stale }) => apiGroup === V3 && stale === undefined);
    expect(wasAlwaysWhole(watch.snapshots)).toBe(true);
  });
});

describe('rights', () => {
  test('an unreadable ClusterInformation is a problem; follows v3 when v1 is gone', async () => {
    const forbidden = { ...FULL, ready: 'forbidden' } as const;
    scene.calico.set(V1, forbidden);
    scene.calico.set(V3, { ...COPIED, ready: 'forbidden' });
    const { watch } = await scene.begin();
    const { problems, apiGroup } = await watch.until(snapshot => snapshot.synced && snapshot.problems.length > 0);
    expect(apiGroup).toBe(V1);
    expect(problems).toMatchObject([{ object: 'API/clusterinformations', reason: 'AccessDenied' }]);
    await scene.calico.remove(V1, forbidden);
    await watch.until(snapshot => snapshot.apiGroup === V3 && snapshot.stale === undefined);
    expect(wasAlwaysWhole(watch.snapshots)).toBe(true);
  });

  test('unreadable objects of v3: those of v1 stay in effect, and a problem names the missing permission', async () => {
    scene.calico.set(V1, FULL);
    const { watch } = await scene.begin();
    await watch.until(({ synced }) => synced);
    scene.calico.set(V3, COPIED);
    const refused = failure(403, 'Forbidden', 'ipamblocks is forbidden');
    scene.api.always(`GET /apis/${V3}/ipamblocks`, refused);
    await scene.calico.announce(V1, LOCKED);
    await watch.until(({ problems }) => problems.some(({ object: of }) => of === 'API/ipamblocks'));
    await scene.calico.announce(V1, LOCKED);
    scene.calico.set(V1, undefined);
    await aWhile();
    expect(watch.snapshots.at(-1)!.stale).toMatch(/ipamblocks is forbidden/);
    scene.api.always(`GET /apis/${V3}/ipamblocks`, list(COPIES.ipamblocks, '900'));
    await watch.until(({ stale, problems }) => stale === undefined && problems.length === 0);
    expect(wasAlwaysWhole(watch.snapshots)).toBe(true);
  });
});
