/** The part of kustomize that deploy/ uses, and an error for everything else. */
import { describe, expect, test } from 'vitest';
import { renderFolder, renderKustomization } from '../../../src/calico/install/render/kustomize.ts';
import { deployTree } from '../../support/deploy-tree.ts';

const OBJECT = `apiVersion: v1
kind: ConfigMap
metadata: { name: a }
data: { list: [x, y], "a/b~c": old }
`;
const HEAD = 'apiVersion: kustomize.config.k8s.io/v1beta1\nkind: Kustomization\n';

async function render(kustomization: string, more: Readonly<Record<string, string>> = {}) {
  const tree = await deployTree({ 'f/o.yaml': OBJECT, 'f/kustomization.yaml': `${HEAD}${kustomization}`, ...more });
  return renderFolder(tree, 'f');
}

const patch = (text: string, target = '{ kind: ConfigMap, name: a }'): string =>
  `resources: [o.yaml]\npatches: [{ target: ${target}, patch: ${JSON.stringify(text)} }]`;

describe('JSON patches', () => {
  test.each<[string, object]>([
    ['[{ op: add, path: /data/new, value: 1 }]', { list: ['x', 'y'], 'a/b~c': 'old', new: 1 }],
    ['[{ op: add, path: /data/list/-, value: z }]', { list: ['x', 'y', 'z'], 'a/b~c': 'old' }],
    ['[{ op: add, path: /data/list/0, value: z }]', { list: ['z', 'x', 'y'], 'a/b~c': 'old' }],
    ['[{ op: replace, path: /data/list/1, value: z }]', { list: ['x', 'z'], 'a/b~c': 'old' }],
    ['[{ op: remove, path: /data/list/0 }]', { list: ['y'], 'a/b~c': 'old' }],
    ['[{ op: replace, path: "/data/a~1b~0c", value: new }]', { list: ['x', 'y'], 'a/b~c': 'new' }],
    ['[{ op: remove, path: /data/list }, { op: add, path: /data/list, value: [] }]', { list: [], 'a/b~c': 'old' }],
  ])('%s', async (text, data) => {
    expect(await render(patch(text))).toMatchObject([{ data }]);
  });

  test('__proto__ is a name like any other', async () => {
    const [object] = await render(patch('[{ op: add, path: /data/__proto__, value: { polluted: true } }]'));
    expect(Object.hasOwn(object!['data'] as object, '__proto__')).toBe(true);
    expect(({} as { polluted?: true }).polluted).toBeUndefined();
  });

  test.each([
    ['[{ op: add, path: /none/a, value: 1 }]', /the path does not exist/],
    ['[{ op: replace, path: /data/none, value: 1 }]', /the path does not exist/],
    ['[{ op: remove, path: /data/toString }]', /the path does not exist/],
    ['[{ op: remove, path: /data/list/2 }]', /the list has 2 elements and no 2/],
    ['[{ op: add, path: /data/list/3, value: 1 }]', /the list has 2 elements and no 3/],
    ['[{ op: replace, path: /data/list/-, value: 1 }]', /the list has 2 elements and no -/],
    ['[{ op: add, path: /data/list/01, value: 1 }]', /the list has 2 elements and no 01/],
    ['[{ op: test, path: /data/list, value: 1 }]', /must be add, replace or remove/],
    ['[{ op: copy, from: /a, path: /b }]', /the field "from" is not supported/],
    ['[{ op: add, path: data, value: 1 }]', /the path must begin with \//],
    ['[{ op: add, path: /data }]', /add needs a value/],
    ['[{ op: remove, path: /data, value: 1 }]', /remove takes no value/],
    ['[nonsense]', /no operation of JSON Patch/],
    ['nonsense', /no list of operations/],
    ['data: { x: y }', /the field "data" of the merge patch of ConfigMap a is not supported/],
    ['{ kind: ConfigMap, metadata: { name: a } }', /only "\$patch: delete" is/],
    ['{ $patch: delete, kind: ConfigMap, metadata: { name: b } }', /names another object/],
  ])('%s is an error that names the file', async (text, message) => {
    await expect(render(patch(text))).rejects.toThrow(message);
    await expect(render(patch(text))).rejects.toThrow(/^deploy\/f\/kustomization.yaml: /);
  });
});

test('a deletion removes its target alone', async () => {
  const text = '{ $patch: delete, apiVersion: v1, kind: ConfigMap, metadata: { name: a } }';
  expect(await render(patch(text))).toEqual([]);
  const other = '{ $patch: delete, apiVersion: v1, kind: ConfigMap, metadata: { name: b } }';
  expect(await render(patch(other, '{ kind: ConfigMap, name: b }'))).toHaveLength(1);
});

test('patches of a folder do not change the objects that another folder added before it', async () => {
  const inner = { 'g/p.yaml': OBJECT.replace('name: a', 'name: b'), 'g/kustomization.yaml': '' };
  inner['g/kustomization.yaml'] = `${HEAD}resources: [p.yaml]
patches: [{ target: { kind: ConfigMap, name: a }, patch: "[{ op: remove, path: /data }]" }]`;
  const objects = await render('resources: [o.yaml, ../g]', inner);
  expect(objects.map(({ metadata, data }) => [metadata.name, data !== undefined])).toEqual([
    ['a', true],
    ['b', true],
  ]);
});

test.each([
  ['namePrefix: x-', /the field "namePrefix" of kustomization.yaml is not supported/],
  ['commonLabels: {}', /the field "commonLabels"/],
  ['patches: [{ path: p.yaml }]', /the field "path" of a patch is not supported/],
  ['patches: [{ patch: x }]', /needs a target with kind and name/],
  ['patches: [{ target: { kind: X, name: a, group: g }, patch: x }]', /the field "group" of the target/],
  ['patches: [{ target: { kind: X, name: a.* }, patch: x }]', /needs a plain kind and name/],
  ['images: [{ name: a, tagSuffix: b }]', /the field "tagSuffix" of an image/],
  ['images: [{ newTag: b }]', /an image needs a name/],
  ['images: [{ name: a, newTag: 1 }]', /newTag of an image must be a text, not 1/],
  ['resources: o.yaml', /resources must be a list/],
  ['resources: [1]', /must be a list of paths, but contains 1/],
  ['resources: [none.yaml]', /there is no deploy\/f\/none.yaml/],
  ['resources: [../../outside]', /outside of deploy/],
  ['resources: [https://example.com/x]', /there is no deploy\//],
  ['resources: [../components/always]', /is a Component, but is used as a Kustomization/],
  ['components: [../base]', /is a Kustomization, but is used as a Component/],
  ['resources: [../f]', /it contains itself/],
  ['resources: [o.yaml, o.yaml]', /ConfigMap a is there already/],
])('%s is an error', async (text, message) => {
  await expect(render(text)).rejects.toThrow(message);
});

test('another kind or version of kustomization.yaml is an error', async () => {
  const tree = await deployTree();
  for (const content of [{ kind: 'Other' }, { apiVersion: 'other/v1' }, [], 'text', null])
    expect(() => renderKustomization(tree, '', content)).toThrow(/not supported|not an object/);
});

test('a file of several documents, or an object without a name, is an error', async () => {
  await expect(render(`resources: [o.yaml]\n---\n${HEAD}`)).rejects.toThrow(/must be one document/);
  await expect(render('resources: [o.yaml]', { 'f/o.yaml': 'kind: X' })).rejects.toThrow(/no apiVersion, kind or name/);
});
