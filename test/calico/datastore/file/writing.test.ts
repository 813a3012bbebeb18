/**
 * Writing into a cluster's files: only the changed document, and concurrent writers lose nothing.
 */
import { type ChildProcess, spawn } from 'node:child_process';
import {
  chmodSync,
  existsSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  symlinkSync,
  utimesSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import type { Datastore, NodeEvent } from '../../../../src/calico/datastore/datastore.ts';
import { openFileDatastore } from '../../../../src/calico/datastore/file/datastore.ts';
import { FileEditor } from '../../../../src/calico/datastore/file/editor.ts';
import { FileSet } from '../../../../src/calico/datastore/file/set.ts';
import { loadYamlLibrary } from '../../../../src/calico/datastore/parse/exact-yaml.ts';
import { watching } from '../api/watching.ts';

const KEY = 'projectcalico.org/WireguardPublicKey';
let folder = '';
const open: Datastore[] = [];

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'wgts-datastore-'));
});
afterEach(async () => {
  await Promise.all(open.splice(0).map(datastore => datastore.close()));
  rmSync(folder, { recursive: true, force: true });
});

const datastoreOf = async (path: string, onEvent?: (event: NodeEvent) => void): Promise<Datastore> => {
  const datastore = await openFileDatastore({ path, ...(onEvent && { onEvent }) });
  open.push(datastore);
  return datastore;
};
const put = (name: string, text: string): string => {
  writeFileSync(join(folder, name), text);
  return join(folder, name);
};
const read = (name: string): string => readFileSync(join(folder, name), 'utf8');
const node = (name: string, more = ''): string =>
  `apiVersion: v1\nkind: Node\nmetadata:\n  name: ${name}\n  annotations:\n    projectcalico.org/IPv4Address: 10.0.0.1/24\n${more}`;
const POOL = 'apiVersion: crd.projectcalico.org/v1\nkind: IPPool\nmetadata: {name: pool}\nspec: {cidr: 10.0.0.0/8}\n';

describe('patchNode', () => {
  test('writes one document, and keeps the bytes of the others, the mode and a link', async () => {
    const before = `# about a\n${node('x')}\n# end of x\n`;
    const after = `--- # the rest  \n${POOL}# ünd\n`;
    const file = put(
      'real.txt',
      `${before}---\n# mine\n${node('me', '    other: "yes"\nspec: {podCIDR: 10.1.0.0/24}\nunknown: {a: [1, "2"]}\n')}${after}`,
    );
    chmodSync(file, 0o640);
    symlinkSync(file, join(folder, 'link.yaml'));
    const datastore = await datastoreOf(join(folder, 'link.yaml'));
    await datastore.patchNode('me', { [KEY]: 'abc=', other: null, absent: null });
    const text = read('real.txt');
    expect(text.startsWith(before)).toBe(true);
    expect(text.endsWith(after)).toBe(true);
    expect(text.slice(before.length, -after.length)).toBe(
      '---\n# mine\napiVersion: v1\nkind: Node\nmetadata:\n  name: me\n  annotations:\n    projectcalico.org/IPv4Address: 10.0.0.1/24\n' +
        `    ${KEY}: abc=\nspec:\n  podCIDR: 10.1.0.0/24\nunknown:\n  a:\n    - 1\n    - '2'\n`,
    );
    expect(statSync(file).mode & 0o777).toBe(0o640);
    expect(readdirSync(folder).sort()).toEqual(['link.yaml', 'real.txt']);
  });

  test('in a List, and in JSON', async () => {
    put(
      'a.yaml',
      `apiVersion: v1\nkind: List\nmetadata: {resourceVersion: ""}\nitems:\n- ${node('a').trim().replaceAll('\n', '\n  ')}\n- {apiVersion: v1, kind: Node, metadata: {name: b}}\n`,
    );
    put('c.json', JSON.stringify({ apiVersion: 'v1', kind: 'Node', metadata: { name: 'c' }, spec: {} }));
    const datastore = await datastoreOf(folder);
    const watch = watching(datastore);
    await datastore.patchNode('b', { [KEY]: 'b' });
    await datastore.patchNode('c', { [KEY]: 'c' });
    await watch.until(
      ({ cluster }) => cluster.nodes.get('b')?.publicKey[4] === 'b' && cluster.nodes.get('c')?.publicKey[4] === 'c',
    );
    expect(read('a.yaml')).toContain(
      "kind: List\nmetadata:\n  resourceVersion: ''\nitems:\n  - apiVersion: v1\n    kind: Node\n",
    );
    expect(JSON.parse(read('c.json'))).toEqual({
      apiVersion: 'v1',
      kind: 'Node',
      metadata: { name: 'c', annotations: { [KEY]: 'c' } },
      spec: {},
    });
  });

  test('does not write an unchanged object', async () => {
    const file = put('a.yaml', node('a'));
    const { ino } = statSync(file);
    const datastore = await datastoreOf(folder);
    await datastore.patchNode('a', { 'projectcalico.org/IPv4Address': '10.0.0.1/24', gone: null });
    expect(statSync(file).ino).toBe(ino);
    expect(read('a.yaml')).toBe(node('a'));
  });

  test('a missing Node, and a broken file', async () => {
    put('a.yaml', node('a'));
    const datastore = await datastoreOf(folder);
    await expect(datastore.patchNode('z', {})).rejects.toMatchObject({
      code: 'ENOENT',
      message: expect.stringMatching(/no Node "z"/),
    });
    const watch = watching(datastore);
    await watch.until(({ cluster }) => cluster.nodes.has('a'));
    put('a.yaml', 'kind: [\n');
    await expect(datastore.patchNode('a', { [KEY]: 'x' })).rejects.toMatchObject({ code: 'EAGAIN' });
    expect(read('a.yaml')).toBe('kind: [\n');
  });

  test('removes the lock of a killed program', async () => {
    put('a.yaml', node('a'));
    const lock = put('.wireguard-ts.lock', '1\n');
    utimesSync(lock, new Date(0), new Date(0));
    await (await datastoreOf(folder)).patchNode('a', { [KEY]: 'x' });
    expect(existsSync(lock)).toBe(false);
    expect(read('a.yaml')).toContain(`${KEY}: x`);
  });

  test('does not overwrite the change of an editor without our lock', async () => {
    const file = put('a.yaml', node('a'));
    const yaml = await loadYamlLibrary();
    const files = new FileSet(folder, yaml, () => undefined);
    let attempts = 0;
    const isNode = (): boolean => true;
    await new FileEditor(folder, files, yaml).edit(isNode, object => {
      if (attempts++ === 0) writeFileSync(file, node('edited'));
      return { ...(object as object), status: {} };
    });
    await files.close();
    expect(attempts).toBe(2);
    expect(read('a.yaml')).toContain('name: edited\n');
    expect(read('a.yaml')).toContain('status: {}\n');
  });

  test('agents in several processes on one file lose no write', async () => {
    const names = ['a', 'b', 'c'];
    const file = put('all.yaml', names.map(name => node(name)).join('---\n'));
    const rounds = 40;
    const module = fileURLToPath(new URL('../../../../dist/calico/datastore/file/datastore.js', import.meta.url));
    const program = `
      const { openFileDatastore } = await import(process.argv[1]);
      const datastore = await openFileDatastore({ path: process.argv[2] });
      for (let i = 0; i < ${rounds}; i++) await datastore.patchNode(process.argv[3], { ['projectcalico.org/x' + i]: String(i), 'projectcalico.org/counter': String(i) });
      await datastore.close();`;
    const children = names.map(name =>
      spawn(process.execPath, ['--input-type=module', '-e', program, module, file, name], {
        stdio: ['ignore', 'ignore', 'pipe'],
      }),
    );
    try {
      await Promise.all(children.map(ended));
    } finally {
      for (const child of children) child.kill('SIGKILL');
    }
    const { cluster } = await watching(await datastoreOf(file)).until(({ synced }) => synced);
    for (const name of names) {
      const { annotations } = cluster.nodes.get(name)!;
      expect(annotations['projectcalico.org/counter']).toBe(String(rounds - 1));
      expect(Object.keys(annotations).filter(key => key.startsWith('projectcalico.org/x'))).toHaveLength(rounds);
    }
    expect(readdirSync(folder)).toEqual(['all.yaml']);
  });
});

test('passes Events to the callback', async () => {
  put('a.yaml', node('a'));
  const events: NodeEvent[] = [];
  const event: NodeEvent = { node: 'a', type: 'Warning', reason: 'InvalidPublicKey', message: 'x' };
  (await datastoreOf(folder, each => events.push(each))).reportEvent(event);
  expect(events).toEqual([event]);
});

describe.each(['folder', 'file'])('objects for IPAM in a %s', kind => {
  test('are created once, replaced only from their latest version, and deleted', async () => {
    const path = kind === 'folder' ? folder : put('all.yaml', POOL);
    put(kind === 'folder' ? 'a.yaml' : 'all.yaml', POOL);
    const { objects } = await datastoreOf(path);
    expect(await objects.get('IPAMHandle', 'h')).toBeUndefined();
    const created = await objects.create('IPAMHandle', { metadata: { name: 'h' }, spec: { handleID: 'h', block: {} } });
    expect(await objects.get('IPAMHandle', 'h')).toEqual(created);
    await expect(objects.create('IPAMHandle', created)).rejects.toMatchObject({ code: 'EEXIST' });
    await expect(objects.create('IPAMHandle', { metadata: { name: '../../h' }, spec: {} })).rejects.toMatchObject({
      code: 'EINVAL',
    });
    const replaced = await objects.replace('IPAMHandle', {
      ...created,
      spec: { handleID: 'h', block: { '10.0.0.0/26': 1 } },
    });
    expect(replaced.metadata.resourceVersion).not.toBe(created.metadata.resourceVersion);
    expect(await objects.list('IPAMHandle')).toEqual([replaced]);
    await expect(objects.replace('IPAMHandle', created)).rejects.toMatchObject({ code: 'ESTALE' });
    await expect(objects.delete('IPAMHandle', created)).rejects.toMatchObject({ code: 'ESTALE' });
    await objects.delete('IPAMHandle', replaced);
    await objects.delete('IPAMHandle', replaced);
    await expect(objects.replace('IPAMHandle', replaced)).rejects.toMatchObject({ code: 'ENOENT' });
    expect(await objects.list('IPAMHandle')).toEqual([]);
    expect(read(kind === 'folder' ? 'a.yaml' : 'all.yaml')).toBe(POOL);
  });
});

async function ended(child: ChildProcess): Promise<void> {
  let errors = '';
  child.stderr?.on('data', (text: Buffer) => {
    errors += text;
  });
  const code = await new Promise(resolve => child.on('close', resolve));
  expect([code, errors]).toEqual([0, '']);
}
