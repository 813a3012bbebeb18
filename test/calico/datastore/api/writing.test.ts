/** Writes to an API server: annotations of a Node, Events, objects of IPAM. */
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { openApiDatastore } from '../../../../src/calico/datastore/api/datastore.ts';
import type { Datastore, NodeEvent, StoredObject } from '../../../../src/calico/datastore/datastore.ts';
import { type Answer, failure, fastPace, json, list, node, reset, ScriptedApi } from './scripted-api.ts';
import { watching } from './watching.ts';

const EVENTS = '/api/v1/namespaces/default/events';
const HANDLES = '/apis/crd.projectcalico.org/v1/ipamhandles';
let api: ScriptedApi;
let datastore: Datastore;

beforeEach(async () => {
  api = new ScriptedApi();
  await api.start();
  datastore = await openApiDatastore({ kubeconfig: api.kubeconfig, env: {}, pace: fastPace(true) });
});
afterEach(async () => {
  await datastore.close();
  await api.close();
});

describe('patchNode', () => {
  test('sends a merge patch of the status with only these annotations', async () => {
    await datastore.patchNode('a', { 'projectcalico.org/WireguardPublicKey': 'key', other: null });
    expect(api.asked).toMatchObject([
      {
        what: 'PATCH /api/v1/nodes/a/status',
        contentType: 'application/merge-patch+json',
        body: { metadata: { annotations: { 'projectcalico.org/WireguardPublicKey': 'key', other: null } } },
      },
    ]);
    await datastore.patchNode('a/../b', {});
    expect(api.asked.at(-1)!.what).toBe('PATCH /api/v1/nodes/a%2F..%2Fb/status');
  });

  const refusals: [string, Answer, string][] = [
    ['ENOENT', failure(404, 'NotFound'), 'PATCH /api/v1/nodes/a/status: 404 NotFound'],
    ['EACCES', failure(403, 'Forbidden', 'nodes "a" is forbidden'), 'nodes "a" is forbidden'],
    ['EACCES', failure(401, 'Unauthorized'), '401'],
    ['ESTALE', failure(409, 'Conflict'), '409'],
    ['EINVAL', failure(422, 'Invalid'), '422'],
    ['EAGAIN', failure(429, 'TooManyRequests'), '429'],
    ['EAGAIN', failure(503, 'ServiceUnavailable'), '503'],
    ['EAGAIN', reset, ''],
  ];
  test.each(refusals)('rejects with %s', async (code, answer, message) => {
    api.always('PATCH /api/v1/nodes/a/status', answer);
    await expect(datastore.patchNode('a', {})).rejects.toMatchObject({
      code,
      message: expect.stringContaining(message),
    });
  });

  test('retries with the current token after one expired', async () => {
    api.configure('fresh');
    api.next('PATCH /api/v1/nodes/a/status', failure(401, 'Unauthorized'));
    await datastore.patchNode('a', {});
    expect(api.asked.map(({ authorization }) => authorization)).toEqual(['Bearer a', 'Bearer fresh']);
  });
});

describe('reportEvent', () => {
  const event: NodeEvent = {
    node: 'a',
    type: 'Warning',
    reason: 'DuplicatePublicKey',
    message: 'a and b have the same',
  };

  test('creates an Event on the Node, and raises its count for repetitions', async () => {
    api.always('GET /api/v1/nodes', list([node('a', '1')]));
    await watching(datastore).until(({ synced }) => synced);
    for (let i = 0; i < 1000; i++) datastore.reportEvent(event);
    await api.until(() => api.count(`POST ${EVENTS}`) === 1);
    const { body } = api.asked.find(({ what }) => what === `POST ${EVENTS}`)!;
    const { name } = (body as { metadata: { name: string } }).metadata;
    expect(name).toMatch(/^a\.[0-9a-f]{16}$/);
    expect(body).toMatchObject({
      kind: 'Event',
      metadata: { namespace: 'default' },
      involvedObject: { kind: 'Node', name: 'a', uid: 'uid-a' },
      type: 'Warning',
      reason: 'DuplicatePublicKey',
      message: 'a and b have the same',
      source: { component: 'wireguard-ts', host: 'a' },
    });
    const { count } = body as { count: number };
    api.always(`GET ${EVENTS}/${name}`, json({ count }));
    for (let i = 0; i < 1000; i++) datastore.reportEvent(event);
    await api.until(() => api.count(`PATCH ${EVENTS}/${name}`) > 0);
    expect(api.asked.at(-1)!.body).toMatchObject({ count: 2000 });
    expect(api.count(`POST ${EVENTS}`)).toBe(1);
    expect(api.count(`PATCH ${EVENTS}/${name}`)).toBe(1);
  });

  test('continues the count of an earlier Event; re-creates one that the server dropped', async () => {
    let name = '';
    api.next(`POST ${EVENTS}`, (response, asked) => {
      name = (asked.body as { metadata: { name: string } }).metadata.name;
      api.next(`GET ${EVENTS}/${name}`, json({ count: 41 }), failure(404, 'NotFound'));
      failure(409, 'AlreadyExists')(response, asked);
    });
    datastore.reportEvent(event);
    await api.until(() => name !== '' && api.count(`PATCH ${EVENTS}/${name}`) === 1);
    expect(api.asked.at(-1)!.body).toMatchObject({ count: 42 });
    datastore.reportEvent(event);
    await api.until(() => api.count(`POST ${EVENTS}`) === 2);
  });

  test('a different Event does not wait for the interval of a repeated one', async () => {
    await datastore.close();
    datastore = await openApiDatastore({ kubeconfig: api.kubeconfig, env: {} });
    datastore.reportEvent(event);
    await api.until(() => api.count(`POST ${EVENTS}`) === 1);
    datastore.reportEvent(event);
    datastore.reportEvent({ ...event, message: 'another' });
    await api.until(() => api.count(`POST ${EVENTS}`) === 2);
    expect(api.asked.map(({ what }) => what)).toEqual([`POST ${EVENTS}`, `POST ${EVENTS}`]);
  });

  test('drops Events above the rate limit, whatever the server does', async () => {
    api.next(`POST ${EVENTS}`, failure(500, 'InternalError'), failure(403, 'Forbidden'));
    for (let i = 0; i < 1000; i++) datastore.reportEvent({ ...event, message: `${i}` });
    await api.until(() => api.count(`POST ${EVENTS}`) === 27);
    await new Promise(resolve => setTimeout(resolve, 700));
    expect(api.count(`POST ${EVENTS}`)).toBe(27);
  });

  test('gives up an Event that cannot be written', async () => {
    api.always(`POST ${EVENTS}`, failure(403, 'Forbidden'));
    datastore.reportEvent({ ...event, message: 'x'.repeat(5000) });
    await api.until(() => api.count(`POST ${EVENTS}`) === 5);
    // No further attempts.
    await new Promise(resolve => setTimeout(resolve, 1000));
    expect(api.count(`POST ${EVENTS}`)).toBe(5);
    expect((api.asked[0]!.body as { message: string }).message).toHaveLength(1024);
  });
});

describe('objects', () => {
  const object = (resourceVersion: string): StoredObject => ({
    metadata: { name: 'h', resourceVersion, uid: 'u' },
    spec: { handleID: 'h' },
  });

  test('are read, created, replaced and deleted by their version', async () => {
    api.next(`GET ${HANDLES}/h`, failure(404, 'NotFound'), json(object('1')));
    expect(await datastore.objects.get('IPAMHandle', 'h')).toBeUndefined();
    expect(await datastore.objects.get('IPAMHandle', 'h')).toEqual(object('1'));
    api.next(`POST ${HANDLES}`, json(object('1'), 201), failure(409, 'AlreadyExists'));
    const fresh = { metadata: { name: 'h' }, spec: { handleID: 'h' } };
    await datastore.objects.create('IPAMHandle', fresh);
    expect(api.asked.at(-1)!.body).toEqual({ apiVersion: 'crd.projectcalico.org/v1', kind: 'IPAMHandle', ...fresh });
    await expect(datastore.objects.create('IPAMHandle', fresh)).rejects.toMatchObject({ code: 'EEXIST' });
    api.next(`PUT ${HANDLES}/h`, json(object('2')), failure(409, 'Conflict'), failure(404, 'NotFound'));
    expect(await datastore.objects.replace('IPAMHandle', object('1'))).toEqual(object('2'));
    expect(api.asked.at(-1)!.body).toMatchObject({ metadata: { resourceVersion: '1' } });
    await expect(datastore.objects.replace('IPAMHandle', object('1'))).rejects.toMatchObject({ code: 'ESTALE' });
    await expect(datastore.objects.replace('IPAMHandle', object('1'))).rejects.toMatchObject({ code: 'ENOENT' });
    api.next(`DELETE ${HANDLES}/h`, json({}), failure(404, 'NotFound'), failure(409, 'Conflict'));
    await datastore.objects.delete('IPAMHandle', object('2'));
    expect(api.asked.at(-1)!.body).toMatchObject({ preconditions: { uid: 'u', resourceVersion: '2' } });
    await datastore.objects.delete('IPAMHandle', object('2'));
    await expect(datastore.objects.delete('IPAMHandle', object('2'))).rejects.toMatchObject({ code: 'ESTALE' });
  });

  test('a list of several pages', async () => {
    api.next(`GET ${HANDLES}`, list([object('1')], '5', { continue: 'next' }), list([object('2')], '5'));
    expect(await datastore.objects.list('IPAMHandle')).toEqual([object('1'), object('2')]);
  });

  test('without Calico, and an answer that is not an object', async () => {
    api.next(`GET ${HANDLES}/h`, json({ kind: 'Status' }));
    await expect(datastore.objects.get('IPAMHandle', 'h')).rejects.toMatchObject({ code: 'EAGAIN' });
    await datastore.close();
    api.always('GET /apis', json({ groups: [] }));
    datastore = await openApiDatastore({ kubeconfig: api.kubeconfig, env: {} });
    expect(await datastore.objects.get('IPAMHandle', 'h')).toBeUndefined();
    const create = datastore.objects.create('IPAMHandle', { metadata: { name: 'h' }, spec: {} });
    await expect(create).rejects.toMatchObject({ code: 'ENOENT', message: expect.stringContaining('CRDs') });
  });
});

test('an invalid configuration rejects at once', async () => {
  await expect(openApiDatastore({ kubeconfig: '/nonexistent/config' })).rejects.toThrow(
    /^cannot find the cluster: ENOENT/,
  );
  await expect(openApiDatastore({ kubeconfig: '/dev/null' })).rejects.toThrow(
    /^cannot find the cluster: \/dev\/null is not a kubeconfig$/,
  );
});
