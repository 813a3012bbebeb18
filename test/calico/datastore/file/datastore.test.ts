import { mkdirSync, mkdtempSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import type { Datastore, NodeEvent } from '../../../../src/calico/datastore/datastore.ts';
import { openFileDatastore } from '../../../../src/calico/datastore/file/datastore.ts';
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
const node = (name: string, more = ''): string =>
  `apiVersion: v1\nkind: Node\nmetadata:\n  name: ${name}\n  annotations:\n    projectcalico.org/IPv4Address: 10.0.0.1/24\n${more}`;
const POOL = 'apiVersion: crd.projectcalico.org/v1\nkind: IPPool\nmetadata: {name: pool}\nspec: {cidr: 10.0.0.0/8}\n';

describe('reading', () => {
  test('YAML, documents, JSON, Lists of kubectl and of the API, several files; ignores other files', async () => {
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

  test('a text that YAML takes for a time, and multi-line texts', async () => {
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

  test('pods only when requested', async () => {
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
  test('files that are added, changed, replaced by rename, and removed', async () => {
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

  test('a file that is written in pieces, or missing for a moment, keeps its objects', async () => {
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

  test('a broken file is a problem, and its last good version stays in effect', async () => {
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

  test('nested aliases with too many values are a problem of the file', async () => {
    const lines = Array.from(
      { length: 12 },
      (_, i) => `a${i}: &a${i} [${Array(10).fill(i === 0 ? 'x' : `*a${i - 1}`)}]`,
    );
    put('bomb.yaml', lines.join('\n'));
    put('a.yaml', node('a'));
    const { problems, cluster } = await watching(await datastoreOf(folder)).until(({ synced }) => synced);
    expect(problems).toMatchObject([{ object: 'File/bomb.yaml', reason: 'InvalidFile' }]);
    expect(cluster.nodes.has('a')).toBe(true);
  });

  test('waits for a missing folder, and keeps the known state of one that disappears', async () => {
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

  test('notifies listeners at first, then at most every 50 ms, and not after close', async () => {
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

const sleep = (milliseconds: number): Promise<void> => new Promise(resolve => setTimeout(resolve, milliseconds));
