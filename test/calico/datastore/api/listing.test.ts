/** Lists of any size: an answer that would fill the memory is asked for again in smaller pages. */
import { afterEach, beforeEach, expect, test } from 'vitest';
import { openApiDatastore } from '../../../../src/calico/datastore/api/datastore.ts';
import { ClusterCache } from '../../../../src/calico/datastore/cluster-cache.ts';
import { fastPace, list, node, ScriptedApi } from './scripted-api.ts';
import { watching } from './watching.ts';

const NODES = '/api/v1/nodes';
let api: ScriptedApi;
beforeEach(async () => {
  api = new ScriptedApi();
  await api.start();
});
afterEach(() => api.close());

test('pages of large objects shrink, and the whole list arrives', async () => {
  const names = Array.from({ length: 120 }, (_, i) => `n${i}`);
  const huge = { metadata: { annotations: { x: 'y'.repeat(1 << 20) } } };
  api.always(`GET ${NODES}`, (response, asked) => {
    const from = Number(asked.query['continue'] ?? 0);
    const to = from + Number(asked.query['limit']);
    const items = names.slice(from, to).map((name, i) => {
      const { metadata } = node(name, String(i + 1)) as { metadata: object };
      return { metadata: { ...metadata, ...huge.metadata } };
    });
    list(items, '9', to < names.length ? { continue: String(to) } : {})(response, asked);
  });
  const datastore = await openApiDatastore({ kubeconfig: api.kubeconfig, env: {}, pace: fastPace() });
  const { cluster, stale } = await watching(datastore).until(({ synced }) => synced);
  expect([...cluster.nodes.keys()].sort()).toEqual([...names].sort());
  expect(stale).toBeUndefined();
  const limits = api.asked.filter(({ what }) => what === `GET ${NODES}`).map(({ query }) => query['limit']);
  expect(limits.slice(0, 3)).toEqual(['500', '100', '20']);
  expect(new Set(limits.slice(2))).toEqual(new Set(['20']));
  await datastore.close();
});

test('what is kept of a listed object has the same effect as the object', () => {
  const object = (version: string, address: string): object => ({
    metadata: {
      name: 'a',
      uid: 'u',
      resourceVersion: version,
      annotations: { 'projectcalico.org/IPv4Address': address },
    },
    status: { images: ['many'] },
  });
  const [whole, slim] = [new ClusterCache(true), new ClusterCache(true)];
  const replace = (version: string, address: string): void => {
    whole.replace('Node', [object(version, address)]);
    slim.replace('Node', [slim.slim('Node', object(version, address))]);
    expect(slim.cluster).toEqual(whole.cluster);
    expect(slim.problems).toEqual(whole.problems);
  };
  replace('1', '10.0.0.1/24');
  const { nodes } = slim.cluster;
  replace('1', '10.0.0.9/24');
  replace('2', '10.0.0.1/24');
  expect(slim.cluster.nodes).toBe(nodes);
  replace('3', 'bad');
  // The object is deleted while the rest of the list is still being read.
  const kept = slim.slim('Node', object('3', 'bad'));
  slim.delete('Node', object('3', 'bad'));
  slim.replace('Node', [kept]);
  expect(slim.cluster).toEqual(whole.cluster);
  expect(JSON.stringify(kept)).not.toContain('images');
});

test('thousands of invalid objects do not fill the memory with problems', () => {
  const cache = new ClusterCache(true);
  const bad = (i: number): object => ({ metadata: { name: `b${i}` }, spec: { cidr: 'x' } });
  cache.replace(
    'IPAMBlock',
    Array.from({ length: 5000 }, (_, i) => bad(i)),
  );
  expect(cache.problems).toHaveLength(2000);
  cache.replace('IPAMBlock', [bad(4999)]);
  expect(cache.problems.length).toBeLessThanOrEqual(1);
  cache.set('IPAMBlock', bad(4999));
  expect(cache.problems).toMatchObject([{ object: 'IPAMBlock/b4999', reason: 'InvalidCIDR' }]);
});
