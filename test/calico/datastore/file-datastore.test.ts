/** A cluster from files: what is read, that changes are seen, and that writers who share a file lose nothing. */
import { type ChildProcess, spawn } from 'node:child_process';
import {
  chmodSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  renameSync,
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
import type { Datastore, NodeEvent } from '../../../src/calico/datastore/datastore.ts';
import { openFileDatastore } from '../../../src/calico/datastore/file-datastore.ts';
import { watching } from './watching.ts';

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

describe('what is read', () => {
  test('YAML, documents, JSON, Lists of kubectl and of the API, several files; others are left alone', async () => {
    put('a.yaml', `# first\n---\n${node('a')}--- # second\n${POOL}...\n---\n---\n`);
    put('b.yml', `apiVersion: v1\nkind: List\nitems:\n- ${node('b').trim().replaceAll('\n', '\n  ')}\n`);
    put('c.json', JSON.stringify({ apiVersion: 'v1', kind: 'NodeList', items: [{ metadata: { name: 'c' } }] }));
    put(
      'd.json',
      '{\n\t"apiVersion": "projectcalico.org/v3", "kind": "FelixConfiguration", "metadata": {"name": "default"}}',
    );
    put('e.yaml', 'apiVersion: v1\nkind: Service\nmetadata: {name: s}\n---\nresources: [a.yaml]\n');
    put('.hidden.yaml', node('hidden'));
    put('notes.txt', node('text'));
    const snapshot = await watching(await datastoreOf(folder)).until(({ synced }) => synced);
    expect(snapshot.problems).toEqual([]);
    expect([...snapshot.cluster.nodes.keys()].sort()).toEqual(['a', 'b', 'c']);
    expect([...snapshot.cluster.felixConfigurations.keys()]).toEqual(['default']);
    expect([...snapshot.cluster.ipPools.keys()]).toEqual(['pool']);
  });

  test('a time that YAML takes for one, and texts over several lines', async () => {
    const file = put(
      'a.yaml',
      'apiVersion: crd.projectcalico.org/v1\nkind: FelixConfiguration\nmetadata:\n  name: sel\n  creationTimestamp: 2026-01-02T03:04:05Z\n' +
        'spec:\n  nodeSelector: |\n    a == "b" &&\n      c == "d"\n  logPrefix: "x\n    y"\n',
    );
    const { cluster } = await watching(await datastoreOf(file)).until(({ synced }) => synced);
    expect(cluster.felixConfigurations.get('sel')).toEqual({
      name: 'sel',
      creationTimestamp: '2026-01-02T03:04:05Z',
      nodeSelector: 'a == "b" &&\n  c == "d"\n',
      parameters: new Map([['logprefix', 'x y']]),
    });
  });

  test('pods only where they are wanted', async () => {
    put(
      'a.yaml',
      'apiVersion: v1\nkind: Pod\nmetadata: {name: p, namespace: n}\nspec: {nodeName: a}\nstatus: {podIP: 10.0.0.9}\n',
    );
    const datastore = await datastoreOf(folder);
    const watch = watching(datastore);
    expect((await watch.until(({ synced }) => synced)).cluster.pods.size).toBe(0);
    datastore.wantPods(true);
    await watch.until(({ cluster }) => cluster.pods.has('n/p'));
    datastore.wantPods(false);
    await watch.until(({ cluster }) => cluster.pods.size === 0);
  });

  test('duplicates, unknown versions and objects without a name are problems', async () => {
    put('a.yaml', `${node('a')}---\n${node('a').replace('10.0.0.1', '10.0.0.2')}---\napiVersion: v1\nkind: Node\n`);
    put('b.yaml', POOL.replace('/v1', '/v9'));
    const { cluster, problems } = await watching(await datastoreOf(folder)).until(({ synced }) => synced);
    expect(cluster.nodes.get('a')!.bgpAddress[4]).toEqual(Uint8Array.of(10, 0, 0, 1));
    expect(problems.map(({ object, reason }) => `${object} ${reason}`).sort()).toEqual([
      'IPPool/pool UnknownVersion',
      'Node/? InvalidObject',
      'Node/a DuplicateObject',
    ]);
  });
});

describe('changes', () => {
  test('files that come, change, are replaced by rename, and go', async () => {
    put('a.yaml', node('a'));
    const watch = watching(await datastoreOf(folder));
    const first = await watch.until(({ cluster }) => cluster.nodes.has('a'));
    put('b.yaml', node('b'));
    const second = await watch.until(({ cluster }) => cluster.nodes.has('b'));
    expect(second.cluster.nodes.get('a')).toBe(first.cluster.nodes.get('a'));
    writeFileSync(join(folder, 'b.yaml'), node('b', '  labels: {x: y}\n'));
    await watch.until(({ cluster }) => cluster.nodes.get('b')!.labels['x'] === 'y');
    put('.b.swp', node('c'));
    renameSync(join(folder, '.b.swp'), join(folder, 'b.yaml'));
    await watch.until(({ cluster }) => cluster.nodes.has('c') && !cluster.nodes.has('b'));
    rmSync(join(folder, 'b.yaml'));
    await watch.until(({ cluster }) => !cluster.nodes.has('c'));
  });

  test('a file that is written in pieces, or is away for a moment, does not take its objects away', async () => {
    const file = put('a.yaml', `${node('a')}---\n${node('b')}`);
    const watch = watching(await datastoreOf(file));
    await watch.until(({ cluster }) => cluster.nodes.size === 2);
    const before = watch.snapshots.length;
    for (const text of ['', node('a'), `${node('a')}---\napiVersion: v1\nki`, `${node('a')}---\n${node('c')}`]) {
      writeFileSync(file, text);
      await sleep(30);
    }
    rmSync(file);
    await sleep(30);
    writeFileSync(file, `${node('a')}---\n${node('d')}`);
    await watch.until(({ cluster }) => cluster.nodes.has('d'));
    for (const { cluster } of watch.snapshots.slice(before)) expect(cluster.nodes.size).toBe(2);
  });

  test('a broken file is a problem, and its last good version counts', async () => {
    const file = put('a.yaml', node('a'));
    const watch = watching(await datastoreOf(folder));
    await watch.until(({ cluster }) => cluster.nodes.has('a'));
    writeFileSync(file, `${node('a')}---\nkind: [\n`);
    const { cluster, problems } = await watch.until(snapshot => snapshot.problems.length > 0);
    expect([...cluster.nodes.keys()]).toEqual(['a']);
    expect(problems).toMatchObject([{ object: 'File/a.yaml', reason: 'InvalidFile' }]);
    expect(problems[0]!.message).toMatch(/^the document at line 7: /);
    writeFileSync(file, node('b'));
    await watch.until(snapshot => snapshot.problems.length === 0 && snapshot.cluster.nodes.has('b'));
  });

  test('a folder that is not there is waited for, and one that goes leaves what was known', async () => {
    const path = join(folder, 'later');
    const watch = watching(await datastoreOf(path));
    expect(await watch.until(({ stale }) => stale !== undefined)).toMatchObject({ synced: false });
    mkdirSync(path);
    writeFileSync(join(path, 'a.yaml'), node('a'));
    await watch.until(({ synced, stale, cluster }) => synced && stale === undefined && cluster.nodes.has('a'));
    renameSync(path, `${path}-gone`);
    const { cluster, stale } = await watch.until(snapshot => snapshot.stale !== undefined);
    expect([...cluster.nodes.keys()]).toEqual(['a']);
    expect(stale).toMatch(/later cannot be read: .*ENOENT.* \(since 20/);
  });

  test('listeners are told no more than once in 50 ms, each at first, and not after they are closed', async () => {
    put('a.yaml', node('a'));
    const datastore = await datastoreOf(folder);
    const watch = watching(datastore);
    await watch.until(({ cluster }) => cluster.nodes.has('a'));
    const before = watch.snapshots.length;
    const began = performance.now();
    for (let i = 0; i < 40; i++) await datastore.patchNode('a', { [KEY]: `key ${i}` });
    await watch.until(({ cluster }) => cluster.nodes.get('a')!.publicKey[4] === 'key 39');
    expect(watch.snapshots.length - before).toBeLessThanOrEqual((performance.now() - began) / 45 + 1);
    let told = 0;
    const closable = datastore.watch(() => told++);
    await sleep(120);
    expect(told).toBe(1);
    closable.close();
    await datastore.patchNode('a', { [KEY]: 'another' });
    await watch.until(({ cluster }) => cluster.nodes.get('a')!.publicKey[4] === 'another');
    expect(told).toBe(1);
  });
});

describe('patchNode', () => {
  test('writes the one document, and leaves the bytes of the others, the mode and a link', async () => {
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

  test('what is as it should be is not written', async () => {
    const file = put('a.yaml', node('a'));
    const { ino } = statSync(file);
    const datastore = await datastoreOf(folder);
    await datastore.patchNode('a', { 'projectcalico.org/IPv4Address': '10.0.0.1/24', gone: null });
    expect(statSync(file).ino).toBe(ino);
    expect(read('a.yaml')).toBe(node('a'));
  });

  test('a Node that is not there, and a file that is broken', async () => {
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

  test('a lock that a killed program left is taken away', async () => {
    put('a.yaml', node('a'));
    const lock = put('.wireguard-ts.lock', '1\n');
    utimesSync(lock, new Date(0), new Date(0));
    await (await datastoreOf(folder)).patchNode('a', { [KEY]: 'x' });
    expect(existsSync(lock)).toBe(false);
    expect(read('a.yaml')).toContain(`${KEY}: x`);
  });

  test('agents in several processes on one file lose no write', { timeout: 60_000 }, async () => {
    const names = ['a', 'b', 'c'];
    const file = put('all.yaml', names.map(name => node(name)).join('---\n'));
    const rounds = 40;
    const module = fileURLToPath(new URL('../../../dist/calico/datastore/file-datastore.js', import.meta.url));
    const program = `
      const { openFileDatastore } = await import(process.argv[1]);
      const datastore = await openFileDatastore({ path: process.argv[2] });
      for (let i = 0; i < ${rounds}; i++) await datastore.patchNode(process.argv[3], { ['x/' + i]: String(i), counter: String(i) });
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
      expect(annotations['counter']).toBe(String(rounds - 1));
      expect(Object.keys(annotations).filter(key => key.startsWith('x/'))).toHaveLength(rounds);
    }
    expect(readdirSync(folder)).toEqual(['all.yaml']);
  });
});

test('events go to who listens', async () => {
  put('a.yaml', node('a'));
  const events: NodeEvent[] = [];
  const event: NodeEvent = { node: 'a', type: 'Warning', reason: 'InvalidPublicKey', message: 'x' };
  (await datastoreOf(folder, each => events.push(each))).reportEvent(event);
  expect(events).toEqual([event]);
});

describe.each(['folder', 'file'])('objects for IPAM in a %s', kind => {
  test('are created once, replaced by who read them last, and deleted', async () => {
    const path = kind === 'folder' ? folder : put('all.yaml', POOL);
    put(kind === 'folder' ? 'a.yaml' : 'all.yaml', POOL);
    const { objects } = await datastoreOf(path);
    expect(await objects.get('IPAMHandle', 'h')).toBeUndefined();
    const created = await objects.create('IPAMHandle', { metadata: { name: 'h' }, spec: { handleID: 'h', block: {} } });
    expect(await objects.get('IPAMHandle', 'h')).toEqual(created);
    await expect(objects.create('IPAMHandle', created)).rejects.toMatchObject({ code: 'EEXIST' });
    await expect(objects.create('IPAMHandle', { metadata: { name: '../h' }, spec: {} })).rejects.toMatchObject({
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

const sleep = (milliseconds: number): Promise<void> => new Promise(resolve => setTimeout(resolve, milliseconds));

async function ended(child: ChildProcess): Promise<void> {
  let errors = '';
  child.stderr?.on('data', (text: Buffer) => {
    errors += text;
  });
  const code = await new Promise(resolve => child.on('close', resolve));
  expect([code, errors]).toEqual([0, '']);
}
