/** Lists of an API server: where they come from, compression, and answers that are no lists. */
import { gzipSync } from 'node:zlib';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { openApiDatastore } from '../../../../src/calico/datastore/api/datastore.ts';
import type { Datastore } from '../../../../src/calico/datastore/datastore.ts';
import { failure, fastPace, list, node, ScriptedApi } from './scripted-api.ts';
import { watching } from './watching.ts';

const NODES = '/api/v1/nodes';
let api: ScriptedApi;
const open: Datastore[] = [];

beforeEach(async () => {
  api = new ScriptedApi();
  await api.start();
});
afterEach(async () => {
  await Promise.all(open.splice(0).map(datastore => datastore.close()));
  await api.close();
});

async function begin() {
  const datastore = await openApiDatastore({ kubeconfig: api.kubeconfig, env: {}, pace: fastPace() });
  open.push(datastore);
  return { watch: watching(datastore) };
}

describe('lists', () => {
  test('in pages, each as recent as etcd, which also the server may answer from its memory', async () => {
    const pages = [list([node('a', '1')], '12', { continue: 'next' }), list([node('b', '2')], '12')];
    api.next(`GET ${NODES}`, ...pages);
    const { watch } = await begin();
    const { cluster } = await watch.until(({ synced }) => synced);
    expect([...cluster.nodes.keys()]).toEqual(['a', 'b']);
    const queries = api.asked.filter(({ what }) => what === `GET ${NODES}`).map(({ query }) => query);
    expect(queries).toEqual([{ limit: '500' }, { limit: '500', continue: 'next' }]);
  });

  test('lists without pages when pages expire', async () => {
    const first = list([node('a', '1')], '10', { continue: 'old' });
    api.next(`GET ${NODES}`, first, failure(410, 'Expired'), list([node('b', '2')], '11'));
    const { watch } = await begin();
    const { cluster } = await watch.until(({ synced }) => synced);
    expect([...cluster.nodes.keys()]).toEqual(['b']);
    expect(api.asked.findLast(({ what }) => what === `GET ${NODES}`)!.query).toEqual({});
  });

  test('asks for compressed lists, reads them, and asks for no compressed watch', async () => {
    const text = JSON.stringify({ metadata: { resourceVersion: '10' }, items: [node('a', '1')] });
    api.next(
      `GET ${NODES}`,
      response => void response.writeHead(200, { 'content-encoding': 'gzip' }).end(gzipSync(text)),
    );
    const { watch } = await begin();
    await watch.until(({ synced, cluster }) => synced && cluster.nodes.has('a'));
    await api.until(() => api.count(`WATCH ${NODES}`) === 1);
    const encodings = new Map(api.asked.map(({ what, encoding }) => [what, encoding]));
    expect([encodings.get(`GET ${NODES}`), encodings.get(`WATCH ${NODES}`)]).toEqual(['gzip', undefined]);
  });

  test('a compressed list that is cut off or damaged is a failure', async () => {
    const text = JSON.stringify({ metadata: { resourceVersion: '10' }, items: [node('a', '1')] });
    const zipped = gzipSync(text);
    api.next(
      `GET ${NODES}`,
      response => void response.writeHead(200, { 'content-encoding': 'gzip' }).end(zipped.subarray(0, -9)),
      response => void response.writeHead(200, { 'content-encoding': 'gzip' }).end('no gzip'),
      response => void response.writeHead(200).end(text.slice(0, -1)),
      list([node('a', '1')]),
    );
    const { watch } = await begin();
    await watch.until(({ synced, cluster }) => synced && cluster.nodes.has('a'));
    expect(api.count(`GET ${NODES}`)).toBe(4);
  });
});
