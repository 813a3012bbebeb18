/** The requests of `wgts calico install`: their headers, and which of them are repeated. */
import { afterEach, beforeEach, expect, test } from 'vitest';
import { openResources } from '../../../../src/calico/datastore/api/resources.ts';
import type { ClusterApi } from '../../../../src/calico/install/cluster/api.ts';
import { failure, json, ScriptedApi } from './scripted-api.ts';

const PATH = '/api/v1/nodes/a';
let server: ScriptedApi;
let api: ClusterApi;
const slept: number[] = [];

beforeEach(async () => {
  server = new ScriptedApi();
  await server.start();
  slept.length = 0;
  const sleep = async (milliseconds: number) => slept.push(milliseconds);
  api = await openResources({ kubeconfig: server.kubeconfig, env: {}, sleep });
});
afterEach(async () => await server.close());

test.each([
  ['apply', 'application/apply-patch+yaml'],
  ['json', 'application/json-patch+json'],
  ['merge', 'application/merge-patch+json'],
] as const)('a patch of the kind %s has the type %s', async (patch, contentType) => {
  await api.send({ method: 'PATCH', path: PATH, patch, body: {} });
  expect(server.asked).toMatchObject([{ contentType, accept: 'application/json' }]);
});

test('a list of metadata asks for it, and accepts whole objects', async () => {
  await api.send({ method: 'GET', path: '/api/v1/nodes', metadataOnly: true });
  const partial = 'application/json;as=PartialObjectMetadataList;g=meta.k8s.io;v=v1';
  expect(server.asked).toMatchObject([{ accept: `${partial},application/json` }]);
});

test('a read is repeated while the server is unavailable, and ends with its error', async () => {
  server.next(`GET ${PATH}`, failure(503, 'ServiceUnavailable'), failure(429, 'TooManyRequests'), json({ a: 1 }));
  expect(await api.send({ method: 'GET', path: PATH })).toEqual({ a: 1 });
  expect(slept).toEqual([1000, 2000]);
  server.always(`GET ${PATH}`, failure(503, 'ServiceUnavailable'));
  await expect(api.send({ method: 'GET', path: PATH })).rejects.toMatchObject({ code: 'EAGAIN' });
  expect(server.count(`GET ${PATH}`)).toBe(6);
});

test('a write is not repeated, because it may have been done', async () => {
  server.always(`PATCH ${PATH}`, failure(503, 'ServiceUnavailable'));
  await expect(api.send({ method: 'PATCH', path: PATH, body: {} })).rejects.toMatchObject({ code: 'EAGAIN' });
  expect(server.count(`PATCH ${PATH}`)).toBe(1);
});

test.each([
  [404, 'NotFound', 'ENOENT'],
  [403, 'Forbidden', 'EACCES'],
  [409, 'Conflict', 'ESTALE'],
  [422, 'Invalid', 'EINVAL'],
])('status %d is %s', async (status, reason, code) => {
  server.always(`GET ${PATH}`, failure(status, reason));
  await expect(api.send({ method: 'GET', path: PATH })).rejects.toMatchObject({ code });
  expect(server.count(`GET ${PATH}`)).toBe(1);
});
