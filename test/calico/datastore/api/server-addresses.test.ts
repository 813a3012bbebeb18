/** The addresses of the API server: as configured, as reached, and as the server says itself. */
import { afterEach, beforeEach, expect, test } from 'vitest';
import { formatAddress } from '../../../../src/base/address.ts';
import { openApiDatastore } from '../../../../src/calico/datastore/api/datastore.ts';
import { ServerAddresses } from '../../../../src/calico/datastore/api/server-addresses.ts';
import { failure, fastPace, json, ScriptedApi } from './scripted-api.ts';
import { watching } from './watching.ts';

let api: ScriptedApi;
beforeEach(async () => {
  api = new ScriptedApi();
  await api.start();
});
afterEach(() => api.close());

const texts = (all: readonly Uint8Array[] | undefined): readonly string[] => (all ?? []).map(formatAddress);
const says = (...addresses: readonly unknown[]) =>
  json({ serverAddressByClientCIDRs: addresses.map(serverAddress => ({ clientCIDR: '0.0.0.0/0', serverAddress })) });

test('they are the address in the environment, that of the connection, and what the server answers', async () => {
  api.always('GET /api', says('10.9.8.7:6443', '[fd00::9]:6443', 'api.example:6443', 7, null));
  const datastore = await openApiDatastore({
    kubeconfig: api.kubeconfig,
    env: { KUBERNETES_SERVICE_HOST: '10.96.0.1' },
    pace: fastPace(),
  });
  const watch = watching(datastore);
  const { apiServers } = await watch.until(({ synced, apiServers: all }) => synced && all?.length === 4);
  expect(texts(apiServers)).toEqual(['10.9.8.7', '10.96.0.1', '127.0.0.1', 'fd00::9']);
  expect(api.asked.filter(({ what }) => what === 'GET /api')).toHaveLength(1);
  await datastore.close();
});

test('a server that does not answer that costs nothing', async () => {
  api.always('GET /api', failure(403, 'forbidden'));
  const datastore = await openApiDatastore({ kubeconfig: api.kubeconfig, env: {}, pace: fastPace() });
  const { apiServers, stale } = await watching(datastore).until(({ synced }) => synced);
  expect(texts(apiServers)).toEqual(['127.0.0.1']);
  expect(stale).toBeUndefined();
  await datastore.close();
});

test('the list keeps its identity until it changes, and is bounded', () => {
  let changes = 0;
  const servers = new ServerAddresses(() => changes++);
  expect([
    servers.add('10.0.0.1'),
    servers.add('::ffff:10.0.0.1'),
    servers.add('name'),
    servers.add(undefined),
  ]).toEqual([true, false, false, false]);
  const { all } = servers;
  servers.add('10.0.0.1');
  expect(servers.all).toBe(all);
  expect(changes).toBe(1);
  for (let i = 0; i < 100; i++) servers.add(`10.1.0.${i}`);
  expect(servers.all).toHaveLength(16);
  for (const answer of [null, 7, {}, { serverAddressByClientCIDRs: 'x' }, { serverAddressByClientCIDRs: [[]] }])
    servers.addAnswer(answer);
  expect(servers.all).toHaveLength(16);
});
