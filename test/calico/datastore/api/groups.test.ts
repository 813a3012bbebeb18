/** The server's address and Calico's API groups, both of which may change while an agent runs. */
import { readFileSync, writeFileSync } from 'node:fs';
import { type AddressInfo, createServer } from 'node:net';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { openApiDatastore } from '../../../../src/calico/datastore/api/datastore.ts';
import type { Pace } from '../../../../src/calico/datastore/api/reflector/back-off.ts';
import type { Datastore } from '../../../../src/calico/datastore/datastore.ts';
import { failure, fastPace, json, list, ScriptedApi } from './scripted-api.ts';
import { watching } from './watching.ts';

const NODES = '/api/v1/nodes';
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

describe('a configuration that changes', () => {
  test("gives the server's new address", async () => {
    const { watch } = await begin();
    await watch.until(({ synced }) => synced);
    await api.stop();
    await watch.until(({ stale }) => stale !== undefined);
    api.move();
    await api.start();
    await watch.until(({ stale }) => stale === undefined);
  });

  test('takes effect once it is complete', async () => {
    const { watch } = await begin();
    await watch.until(({ synced }) => synced);
    writeFileSync(api.kubeconfig, 'clusters: [');
    api.always(`WATCH ${NODES}`, (response, asked) =>
      asked.authorization === 'Bearer fresh'
        ? void response.writeHead(200).flushHeaders()
        : failure(401, 'Unauthorized')(response, asked),
    );
    await api.end(NODES);
    await watch.until(({ stale }) => stale?.includes('401') === true);
    api.configure('fresh');
    await watch.until(({ stale }) => stale === undefined);
  });

  test('a server that accepts but never answers TLS counts as silent', async () => {
    const server = createServer(() => undefined);
    await new Promise<void>(resolve => server.listen(0, '127.0.0.1', resolve));
    try {
      const kubeconfig = join(api.folder, 'silent');
      const { port } = server.address() as AddressInfo;
      writeFileSync(
        kubeconfig,
        readFileSync(api.kubeconfig, 'utf8').replace(/http:[^"]*/, `https://127.0.0.1:${port}`),
      );
      const { watch } = await begin({ kubeconfig, idleTimeoutMs: 200 });
      await watch.until(({ stale }) => stale?.includes('nothing received from') === true);
    } finally {
      await Promise.all(open.splice(0).map(datastore => datastore.close()));
      server.close();
    }
  });
});

describe('Calico’s API groups', () => {
  const groups = (...names: string[]) => json({ groups: names.map(name => ({ name })) });

  test('no Calico for a minute is an empty cluster; looks every 30 s until it is installed', async () => {
    api.always('GET /apis', groups('apps'));
    pace = fastPace(true);
    const began = Date.now();
    const { watch } = await begin({ pace });
    await watch.until(({ stale }) => stale?.includes('the server does not have') === true);
    expect(watch.snapshots.at(-1)!.synced).toBe(false);
    const first = await watch.until(({ synced }) => synced);
    expect(Date.now() - began).toBeGreaterThanOrEqual(600);
    expect([first.stale, first.problems]).toEqual([undefined, []]);
    const before = pace.slept.length;
    await expect.poll(() => pace.slept.length).toBeGreaterThan(before + 2);
    expect(pace.slept.slice(before).every(milliseconds => milliseconds >= 30_000)).toBe(true);
    api.always(`GET ${POOLS}`, list([POOL], '6'));
    api.always('GET /apis', undefined);
    await watch.until(({ cluster }) => cluster.ipPools.has('p'));
  });

  test('waits for a kind that is missing at first: a starting server does not serve all CRDs at once', async () => {
    api.next(`GET ${POOLS}`, failure(404, 'NotFound'), failure(404, 'NotFound'), list([POOL], '6'));
    const { watch } = await begin();
    await watch.until(({ synced, cluster }) => synced && cluster.ipPools.has('p'));
    expect(watch.snapshots.filter(({ synced, cluster }) => synced && !cluster.ipPools.has('p'))).toEqual([]);
    expect(Math.max(...pace.slept)).toBeLessThan(10_000);
  });

  test('a kind that disappears stays in effect for a minute: a starting server does not serve all CRDs at once', async () => {
    api.always(`GET ${POOLS}`, list([POOL], '6'));
    const { watch } = await begin({ pace: fastPace(true) });
    const known = await watch.until(({ synced, cluster }) => synced && cluster.ipPools.has('p'));
    for (const what of [`GET ${POOLS}`, `WATCH ${POOLS}`]) api.always(what, failure(404, 'NotFound'));
    const began = Date.now();
    await api.end(POOLS);
    await watch.until(({ stale }) => stale?.includes('the server no longer has ippools') === true);
    expect(watch.snapshots.at(-1)!.cluster).toBe(known.cluster);
    await watch.until(({ cluster, stale }) => cluster.ipPools.size === 0 && stale === undefined);
    expect(Date.now() - began).toBeGreaterThanOrEqual(600);
  });

  test.each([
    [['projectcalico.org'], {}, 'projectcalico.org/v3'],
    [['projectcalico.org', 'crd.projectcalico.org'], {}, 'crd.projectcalico.org/v1'],
    [['crd.projectcalico.org'], { CALICO_API_GROUP: 'projectcalico.org/v3' }, 'projectcalico.org/v3'],
    [['projectcalico.org'], { CALICO_API_GROUP: 'crd.projectcalico.org' }, 'crd.projectcalico.org/v1'],
  ])('of %j with %j it is %s', async (names, env, group) => {
    api.always('GET /apis', groups(...names));
    const { watch } = await begin({ env });
    await watch.until(({ synced }) => synced);
    const asked = api.asked.filter(({ what }) => what.endsWith('/ipamblocks')).map(({ what }) => what);
    expect(asked[0]).toBe(`GET /apis/${group}/ipamblocks`);
  });

  test('assumes the usual group without the permission to list groups', async () => {
    api.always('GET /apis', failure(403, 'Forbidden'));
    api.always(`GET ${POOLS}`, list([POOL], '6'));
    const { watch } = await begin();
    await watch.until(({ cluster }) => cluster.ipPools.has('p'));
  });

  test('an unknown CALICO_API_GROUP rejects at once', async () => {
    await expect(begin({ env: { CALICO_API_GROUP: 'calico/v2' } })).rejects.toMatchObject({
      code: 'EINVAL',
      message: expect.stringMatching(/"calico\/v2".*crd.projectcalico.org\/v1 or projectcalico.org\/v3/),
    });
  });
});
