/** The ownership of fields moves from kubectl to us (also: test/cluster/install.test.ts). */
import { describe, expect, test } from 'vitest';
import { codedError } from '../../../src/base/coded-error.ts';
import { MANAGER, takeOwnership, withoutOrphans } from '../../../src/calico/install/change/ownership.ts';
import type { ApiCall } from '../../../src/calico/install/cluster/api.ts';
import type { Resource } from '../../../src/calico/model/resource.ts';

const entry = (manager: string, operation: string, fieldsV1: object, more: object = {}) => ({
  manager,
  operation,
  apiVersion: 'v1',
  fieldsType: 'FieldsV1',
  fieldsV1,
  ...more,
});
const objectOf = (...managedFields: object[]) => ({ metadata: { name: 'a', resourceVersion: '7', managedFields } });
const PATH = '/api/v1/configmaps/a';

async function moved(...managedFields: object[]) {
  const sent: ApiCall[] = [];
  const api = { send: async (call: ApiCall) => void sent.push(call) };
  await takeOwnership(api, PATH, objectOf(...managedFields));
  return sent;
}

describe('the move', () => {
  test('joins the fields of kubectl and ours, and keeps those of others', async () => {
    const other = entry('kube-controller-manager', 'Update', { 'f:status': {} }, { subresource: 'status' });
    const status = entry(MANAGER, 'Update', { 'f:status': {} }, { subresource: 'status' });
    const [call, ...more] = await moved(
      entry('kubectl-client-side-apply', 'Update', { 'f:data': { 'f:a': {}, 'f:b': {} } }),
      other,
      entry(MANAGER, 'Apply', { 'f:data': { 'f:b': {}, 'f:c': {} }, 'f:x': {} }),
      entry('kubectl', 'Apply', { 'f:y': {} }),
      status,
    );
    expect(more).toEqual([]);
    const fieldsV1 = { 'f:data': { 'f:a': {}, 'f:b': {}, 'f:c': {} }, 'f:x': {}, 'f:y': {} };
    expect(call).toMatchObject({ method: 'PATCH', patch: 'json', path: PATH });
    expect(call!.body).toEqual([
      { op: 'replace', path: '/metadata/managedFields', value: [entry(MANAGER, 'Apply', fieldsV1), other, status] },
      { op: 'replace', path: '/metadata/resourceVersion', value: '7' },
    ]);
  });

  test('is not needed for our own fields, or for those that a person edited', async () => {
    expect(await moved(entry(MANAGER, 'Apply', {}), entry('kubectl-edit', 'Update', {}))).toEqual([]);
    expect(await moved()).toEqual([]);
  });

  test('is made again after a conflict, with the new object', async () => {
    const former = entry('kubectl', 'Apply', {});
    const sent: ApiCall[] = [];
    const api = {
      send: async (call: ApiCall) => {
        sent.push(call);
        if (call.method === 'GET') return objectOf(former);
        if (sent.length === 1) throw codedError('ESTALE', '409');
        return {};
      },
    };
    await takeOwnership(api, PATH, objectOf(former));
    expect(sent.map(({ method }) => method)).toEqual(['PATCH', 'GET', 'PATCH']);
    const always = { send: async () => Promise.reject(codedError('EACCES', '403')) };
    await expect(takeOwnership(always, PATH, objectOf(former))).rejects.toMatchObject({ code: 'EACCES' });
  });
});

describe('the result of a dry run', () => {
  const wanted = { data: { keep: 1 }, list: [{ name: 'a', port: 1 }] } as unknown as Resource;
  const result = {
    data: { keep: 1, old: 2, theirs: 3 },
    list: [
      { name: 'a', port: 1, old: 1 },
      { name: 'b', old: 1 },
      { name: 'c', theirs: 1 },
    ],
  };
  const fields = {
    'f:data': { '.': {}, 'f:keep': {}, 'f:old': {} },
    'f:list': {
      'k:{"name":"a"}': { '.': {}, 'f:name': {}, 'f:port': {}, 'f:old': {} },
      'k:{"name":"b"}': { 'f:name': {} },
      'k:{"name":"absent"}': {},
      'k:nonsense': {},
      'k:5': {},
    },
    'f:absent': { 'f:deep': {} },
  };

  test('loses what kubectl set and the manifest lacks', () => {
    expect(withoutOrphans(result, objectOf(entry('kubectl', 'Apply', fields)), wanted)).toEqual({
      data: { keep: 1, theirs: 3 },
      list: [
        { name: 'a', port: 1 },
        { name: 'c', theirs: 1 },
      ],
    });
    expect(result.data.old).toBe(2);
  });

  test('is the same object if kubectl set nothing', () => {
    expect(withoutOrphans(result, objectOf(entry('other', 'Apply', fields)), wanted)).toBe(result);
  });
});
