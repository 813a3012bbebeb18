import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { openApiDatastore } from '../../../../src/calico/datastore/api/datastore.ts';
import type { Pace } from '../../../../src/calico/datastore/api/reflector/back-off.ts';
import type { Datastore } from '../../../../src/calico/datastore/datastore.ts';
import { type Answer, events, failure, fastPace, hang, json, list, node, reset, ScriptedApi } from './scripted-api.ts';
import { watching } from './watching.ts';

const NODES = '/api/v1/nodes';
/** An annotation that a Node keeps. */
const X = 'projectcalico.org/x';
const POOLS = '/apis/crd.projectcalico.org/v1/ippools';
const POOL = { metadata: { name: 'p', uid: 'p', resourceVersion: '5' }, spec: { cidr: '10.0.0.0/8' } };
let api: ScriptedApi;
let pace: ReturnType<typeof fastPace>;
const open: Datastore[] = [];

beforeEach(async () => {
  api = new ScriptedApi();
  pace = fastPace();
  await api.start();
});
afterEach(async () => {
  await Promise.all(open.splice(0).map(datastore => datastore.close()));
  await api.close();
});

async function begin(
  options: { idleTimeoutMs?: number; env?: Record<string, string>; kubeconfig?: string; pace?: Pace } = {},
) {
  const datastore = await openApiDatastore({ kubeconfig: api.kubeconfig, env: {}, pace, ...options });
  open.push(datastore);
  return { datastore, watch: watching(datastore) };
}

describe('list and watch', () => {
  test('pages, added, modified, deleted; unchanged objects keep their identity', async () => {
    api.next(`GET ${NODES}`, list([node('a', '1')], '10', { continue: 'more' }), list([node('b', '2')], '10'));
    const { watch } = await begin();
    const first = await watch.until(({ synced, cluster }) => synced && cluster.nodes.size === 2);
    expect(first.stale).toBeUndefined();
    expect(api.asked.filter(({ what }) => what === `GET ${NODES}`).map(({ query }) => query)).toEqual([
      { limit: '500' },
      { limit: '500', continue: 'more' },
    ]);
    await api.send(NODES, { type: 'ADDED', object: node('c', '11') }, { type: 'DELETED', object: node('b', '12') });
    await api.send(NODES, { type: 'MODIFIED', object: node('c', '13', { [X]: 'y' }) }, { type: 'NOVELTY', object: 5 });
    const { cluster } = await watch.until(snapshot => snapshot.cluster.nodes.get('c')?.annotations[X] === 'y');
    expect([...cluster.nodes.keys()]).toEqual(['a', 'c']);
    expect(cluster.nodes.get('a')).toBe(first.cluster.nodes.get('a'));
    expect(cluster.ipPools).toBe(first.cluster.ipPools);
  });

  test('continues from the last event or bookmark, without listing again', async () => {
    api.next(`GET ${NODES}`, list([node('a', '1')], '10'));
    const { watch } = await begin();
    await watch.until(({ synced }) => synced);
    await api.send(NODES, { type: 'ADDED', object: node('b', '20') });
    await watch.until(({ cluster }) => cluster.nodes.has('b'));
    await api.end(NODES);
    await api.until(() => api.count(`WATCH ${NODES}`) === 2);
    await api.send(NODES, { type: 'BOOKMARK', object: { kind: 'Node', metadata: { resourceVersion: '30' } } });
    // A reset discards data in flight.
    await new Promise(resolve => setTimeout(resolve, 50));
    await api.end(NODES, 'reset');
    await api.until(() => api.count(`WATCH ${NODES}`) === 3);
    const versions = api.asked.filter(({ what }) => what === `WATCH ${NODES}`).map(({ query }) => query);
    expect(versions.map(({ resourceVersion }) => resourceVersion)).toEqual(['10', '20', '30']);
    expect(versions[0]).toMatchObject({ allowWatchBookmarks: 'true', timeoutSeconds: '360' });
    expect(api.count(`GET ${NODES}`)).toBe(1);
    expect(watch.snapshots.every(({ stale }) => stale === undefined)).toBe(true);
  });

  test.each([
    ['in a stream', events({ type: 'ERROR', object: { kind: 'Status', code: 410, reason: 'Expired' } })],
    ['as the answer', failure(410, 'Expired')],
    ['in a stream, as Gone', events({ type: 'ERROR', object: { code: 410, reason: 'Gone' } })],
  ])('410 %s lists again', async (_, gone) => {
    api.next(`GET ${NODES}`, list([node('a', '1')], '10'), list([node('b', '90')], '100'));
    api.next(`WATCH ${NODES}`, gone);
    const { watch } = await begin();
    await watch.until(({ cluster }) => cluster.nodes.has('b') && !cluster.nodes.has('a'));
    await api.until(() => api.count(`WATCH ${NODES}`) === 2);
    expect(api.asked.findLast(({ what }) => what === `WATCH ${NODES}`)!.query['resourceVersion']).toBe('100');
    expect(watch.snapshots.every(({ stale }) => stale === undefined)).toBe(true);
  });

  test('pods only when requested', async () => {
    const pod = { metadata: { name: 'p', namespace: 'n', uid: 'u', resourceVersion: '1' }, spec: { nodeName: 'a' } };
    api.always('GET /api/v1/pods', list([{ ...pod, status: { podIP: '10.0.0.9' } }], '5'));
    const { datastore, watch } = await begin();
    await watch.until(({ synced }) => synced);
    expect(api.count('GET /api/v1/pods')).toBe(0);
    datastore.wantPods(true);
    await watch.until(({ synced, cluster }) => synced && cluster.pods.has('n/p'));
    datastore.wantPods(false);
    await watch.until(({ synced, cluster }) => synced && cluster.pods.size === 0);
    datastore.wantPods(true);
    await watch.until(({ synced, cluster }) => synced && cluster.pods.has('n/p'));
  });

  test('malformed objects and lines are problems, or ignored', async () => {
    api.next(
      `GET ${POOLS}`,
      list([POOL, { metadata: { name: 'bad' }, spec: { cidr: 'x' } }, 5, null, { metadata: {} }], '10'),
    );
    const { watch } = await begin();
    const { cluster, problems } = await watch.until(({ synced }) => synced);
    expect([...cluster.ipPools.keys()]).toEqual(['p']);
    expect(problems.map(({ object }) => object)).toContain('IPPool/bad');
    api.next(`WATCH ${POOLS}`, response => void response.writeHead(200).end('{"type": "ADD\n'));
    await api.end(POOLS);
    await api.until(() => api.count(`WATCH ${POOLS}`) >= 3);
    await api.send(POOLS, { type: 'DELETED', object: POOL });
    await watch.until(snapshot => snapshot.cluster.ipPools.size === 0);
  });
});

describe('a server that fails', () => {
  test.each([
    ['500', failure(500, 'InternalError'), /500 InternalError/],
    [
      'an answer that is not JSON',
      ((r): void => void r.writeHead(200).end('<html>')) satisfies typeof hang,
      /not JSON/,
    ],
    ['a 502 of a proxy', ((r): void => void r.writeHead(502).end('<html>')) satisfies typeof hang, /502/],
    ['JSON that is not a list', json({ kind: 'Status' }), /not a list/],
    ['a reset', reset, /hang up|ECONNRESET/],
    ['silence', hang, /nothing received .* for 0.2 s/],
  ])('%s is stale, and tried again', async (_, answer, said) => {
    api.always(`GET ${NODES}`, answer);
    const { watch } = await begin({ idleTimeoutMs: 200 });
    const { stale, synced } = await watch.until(snapshot => snapshot.stale !== undefined);
    expect(stale).toMatch(said);
    expect(stale).toMatch(/\(since 20\d\d-/);
    expect(synced).toBe(false);
    await api.until(() => api.count(`GET ${NODES}`) >= 3);
    api.always(`GET ${NODES}`, undefined);
    await watch.until(snapshot => snapshot.synced && snapshot.stale === undefined);
    expect(pace.slept).toEqual(expect.arrayContaining([500, 1000]));
  });

  test('respects Retry-After', async () => {
    api.next(`WATCH ${NODES}`, failure(429, 'TooManyRequests', 'storage is initializing', { 'retry-after': '7' }));
    const { watch } = await begin();
    await watch.until(({ stale }) => stale?.includes('storage is initializing') === true);
    await api.until(() => api.count(`WATCH ${NODES}`) === 2);
    expect(pace.slept.map(Math.round)).toContain(7700);
    expect(api.count(`GET ${NODES}`)).toBe(1);
    await watch.until(({ stale }) => stale === undefined);
  });

  test('retries sooner once a server answers again, even if it is not ready yet', async () => {
    const { watch } = await begin();
    await watch.until(({ synced }) => synced);
    await api.stop();
    await api.until(() => pace.slept.filter(milliseconds => milliseconds === 10_000).length >= 8);
    // It may also accept a watch and end it at once.
    const ended: Answer = (response, asked) => {
      if (asked.what.startsWith('WATCH')) response.writeHead(200).end();
    };
    api.next(`WATCH ${NODES}`, failure(503, 'ServiceUnavailable'), failure(429, 'TooManyRequests'), ended);
    await api.start();
    const before = pace.slept.length;
    await watch.until(({ stale }) => stale === undefined);
    await api.until(() => api.count(`WATCH ${NODES}`) === 5);
    expect(pace.slept.slice(before).map(Math.round)).toEqual([500, 1000, 2000]);
  });

  test('a long outage: keeps the known state, backs off up to 10 s, and continues when the server is back', async () => {
    api.always(`GET ${NODES}`, list([node('a', '1')], '10'));
    const { watch } = await begin();
    const known = await watch.until(({ synced }) => synced);
    await api.stop();
    const away = await watch.until(({ stale }) => stale !== undefined);
    await api.until(() => pace.slept.filter(milliseconds => milliseconds === 10_000).length >= 4);
    expect(Math.max(...pace.slept)).toBe(10_000);
    expect(watch.snapshots.at(-1)!.cluster).toBe(known.cluster);
    expect(watch.snapshots.at(-1)!.synced).toBe(true);
    const since = /since (.*)\)/;
    expect(since.exec(watch.snapshots.at(-1)!.stale!)![1]).toBe(since.exec(away.stale!)![1]);
    await api.start();
    await watch.until(({ stale }) => stale === undefined);
    await api.send(NODES, { type: 'ADDED', object: node('b', '20') });
    await watch.until(({ cluster }) => cluster.nodes.has('b'));
    expect(api.count(`GET ${NODES}`)).toBe(1);
  });

  test('reopens an idle watch', async () => {
    const { watch } = await begin({ idleTimeoutMs: 300 });
    await watch.until(({ synced }) => synced);
    await api.until(() => api.count(`WATCH ${NODES}`) >= 3);
    expect(watch.snapshots.every(({ stale }) => stale === undefined)).toBe(true);
  });

  test('reopens a watch with an endless line', async () => {
    let ended = false;
    api.next(`WATCH ${NODES}`, response => {
      response.on('close', () => {
        ended = true;
      });
      const piece = 'x'.repeat(1 << 20);
      const more = (): void => {
        if (!ended) response.write(piece, () => setImmediate(more));
      };
      response.writeHead(200);
      more();
    });
    const { watch } = await begin();
    await watch.until(({ synced }) => synced);
    await api.until(() => ended && api.count(`WATCH ${NODES}`) === 2);
  });

  test('events split at any byte', async () => {
    api.next(`WATCH ${NODES}`, async response => {
      response.writeHead(200);
      const lines = ['é', 'ü'].map((x, i) =>
        JSON.stringify({ type: 'ADDED', object: node(`n${i}`, `${i}`, { [X]: x }) }),
      );
      for (const byte of Buffer.from(`${lines.join('\n')}\n`)) {
        response.write(Buffer.of(byte));
        await new Promise(resolve => setImmediate(resolve));
      }
    });
    const { watch } = await begin();
    const { cluster } = await watch.until(snapshot => snapshot.cluster.nodes.size === 2);
    expect([...cluster.nodes.values()].map(({ annotations }) => annotations[X])).toEqual(['é', 'ü']);
  });

  test('backs off when the server ends every watch at once', async () => {
    api.always(`WATCH ${NODES}`, response => void response.writeHead(200).end());
    await begin();
    await api.until(() => api.count(`WATCH ${NODES}`) >= 5);
    expect(pace.slept.slice(0, 4)).toEqual([500, 1000, 2000, 4000]);
  });

  test('a missing permission is a problem that names it, until it is granted', async () => {
    const no = failure(403, 'Forbidden', 'nodes is forbidden');
    api.always(`GET ${NODES}`, no);
    const { watch } = await begin();
    const { problems, synced } = await watch.until(snapshot => snapshot.problems.length > 0);
    expect(synced).toBe(false);
    expect(problems).toMatchObject([{ object: 'API/nodes', reason: 'AccessDenied' }]);
    expect(problems[0]!.message).toMatch(/nodes is forbidden; the agent needs get, list and watch of nodes/);
    api.always(`GET ${NODES}`, undefined);
    await watch.until(snapshot => snapshot.synced && snapshot.problems.length === 0);
  });

  test('an expired token: reloads everything and continues', async () => {
    const { watch } = await begin();
    await watch.until(({ synced }) => synced);
    api.configure('fresh');
    api.always(`WATCH ${NODES}`, (response, asked) =>
      asked.authorization === 'Bearer fresh'
        ? void response.writeHead(200).flushHeaders()
        : failure(401, 'Unauthorized')(response, asked),
    );
    await api.end(NODES);
    await api.until(() => api.asked.some(({ authorization }) => authorization === 'Bearer fresh'));
    expect(api.asked.filter(({ what }) => what === `WATCH ${NODES}`).map(({ authorization }) => authorization)).toEqual(
      ['Bearer a', 'Bearer a', 'Bearer fresh'],
    );
    expect(watch.snapshots.every(({ stale }) => stale === undefined)).toBe(true);
  });
});
