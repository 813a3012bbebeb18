/**
 * The datastore on a real API server: both groups, RBAC, expiring service account tokens, and
 * outages.
 */
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, expect, test } from 'vitest';
import { formatAddress } from '../../src/base/address.ts';
import { formatPrefix } from '../../src/base/prefix.ts';
import { type ApiDatastoreOptions, openApiDatastore } from '../../src/calico/datastore/api/datastore.ts';
import type { Datastore } from '../../src/calico/datastore/datastore.ts';
import type { CalicoGroup } from '../../src/calico/datastore/resource-kinds.ts';
import { fastPace } from '../calico/datastore/api/scripted-api.ts';
import { watching } from '../calico/datastore/api/watching.ts';
import { HANG_MS } from '../support/patience.ts';
import { calicoCrds } from './calico-crds.ts';
import { type ControlPlane, describeCluster, type Manifest, startControlPlane } from './control-plane.ts';

const KEY = 'projectcalico.org/WireguardPublicKey';
const node = (name: string, annotations: Record<string, string> = {}): Manifest => ({
  apiVersion: 'v1',
  kind: 'Node',
  metadata: { name, annotations },
  spec: { podCIDR: '10.9.0.0/24', podCIDRs: ['10.9.0.0/24'] },
  status: { addresses: [{ type: 'InternalIP', address: '10.0.0.5' }] },
});
const object = (group: CalicoGroup, kind: string, name: string, spec: object): Manifest => ({
  apiVersion: group,
  kind,
  metadata: { name },
  spec,
});

describeCluster('a real API server', () => {
  let plane: ControlPlane;
  const open: Datastore[] = [];
  const begin = async (options: ApiDatastoreOptions = {}) => {
    const datastore = await openApiDatastore({ kubeconfig: plane.kubeconfig, env: {}, ...options });
    open.push(datastore);
    return { datastore, watch: watching(datastore) };
  };
  beforeAll(async () => {
    plane = await startControlPlane();
  });
  afterEach(async () => {
    await Promise.all(open.splice(0).map(datastore => datastore.close()));
  });
  afterAll(async () => await plane?.stop());

  test('without Calico: only Nodes, after the minute that a server may need for its CRDs', async () => {
    await plane.apply(node('early'));
    const { watch } = await begin({ pace: fastPace(true) });
    const known = await watch.until(({ cluster }) => cluster.nodes.has('early'));
    expect(known.synced).toBe(false);
    const { cluster, problems } = await watch.until(({ synced }) => synced);
    expect([...cluster.nodes.keys()]).toEqual(['early']);
    expect(formatAddress(cluster.nodes.get('early')!.addresses[0]!.address)).toBe('10.0.0.5');
    expect(cluster.nodes.get('early')!.podCidrs.map(formatPrefix)).toEqual(['10.9.0.0/24']);
    expect(problems).toEqual([]);
  });

  // v3 first, while it is the only group: beside v1 it is not chosen.
  for (const group of ['projectcalico.org/v3', 'crd.projectcalico.org/v1'] as const)
    test(`${group}: reads and watches objects, and writes IPAM's`, async () => {
      await plane.apply(...calicoCrds(group));
      await plane.apply(
        node('a', { 'projectcalico.org/IPv4Address': '10.0.0.6/24' }),
        object(group, 'FelixConfiguration', 'default', { wireguardEnabled: true, wireguardKeepAlive: '25s' }),
        object(group, 'IPPool', 'pool', { cidr: '192.168.0.0/16', ipipMode: 'Never' }),
      );
      const { datastore, watch } = await begin();
      const first = await watch.until(({ synced, cluster }) => synced && cluster.ipPools.size > 0);
      expect(Object.fromEntries(first.cluster.felixConfigurations.get('default')!.parameters)).toEqual({
        // The CRD's default.
        nftablesflowtableoffload: 'Disabled',
        nftablesmode: 'Auto',
        wireguardenabled: 'true',
        wireguardpersistentkeepalive: '25',
      });
      const spec = {
        cidr: '192.168.1.64/26',
        affinity: 'host:a',
        strictAffinity: false,
        allocations: [0, null],
        unallocated: [1],
        attributes: [
          { handle_id: 'wireguard-tunnel-addr-a', secondary: { node: 'a', type: 'wireguardTunnelAddress' } },
        ],
      };
      const created = await datastore.objects.create('IPAMBlock', { metadata: { name: '192-168-1-64-26' }, spec });
      const second = await watch.until(({ cluster }) => cluster.ipamBlocks.size === 1);
      expect(second.cluster.ipamBlocks.get('192-168-1-64-26')!.allocations).toMatchObject([
        { node: 'a', type: 'wireguardTunnelAddress' },
      ]);
      expect(second.cluster.nodes).toBe(first.cluster.nodes);
      const changed = await datastore.objects.replace('IPAMBlock', {
        ...created,
        spec: { ...spec, affinity: 'host:b' },
      });
      await expect(datastore.objects.replace('IPAMBlock', created)).rejects.toMatchObject({ code: 'ESTALE' });
      await expect(
        datastore.objects.create('IPAMBlock', { metadata: { name: '192-168-1-64-26' }, spec }),
      ).rejects.toMatchObject({
        code: 'EEXIST',
      });
      await expect(datastore.objects.delete('IPAMBlock', created)).rejects.toMatchObject({ code: 'ESTALE' });
      await watch.until(({ cluster }) => [...cluster.ipamBlocks.values()][0]?.owner === 'b');
      await datastore.objects.delete('IPAMBlock', changed);
      await datastore.objects.delete('IPAMBlock', changed);
      await watch.until(({ cluster }) => cluster.ipamBlocks.size === 0);
      await expect(datastore.objects.replace('IPAMBlock', changed)).rejects.toMatchObject({ code: 'ENOENT' });
      const refused = datastore.objects.create('IPAMHandle', {
        metadata: { name: 'h' },
        spec: { handleID: 5, block: {} },
      });
      await expect(refused).rejects.toMatchObject({ code: 'EINVAL', message: expect.stringContaining('handleID') });
      const deleted = group === 'projectcalico.org/v3' ? false : 'false';
      const affinity = { cidr: '192.168.1.64/26', node: 'a', type: 'host', state: 'confirmed', deleted };
      await datastore.objects.create('BlockAffinity', { metadata: { name: 'a-192-168-1-64-26' }, spec: affinity });
      expect(await datastore.objects.list('BlockAffinity')).toHaveLength(1);
    });

  test('writes annotations of a Node where Felix does, and others see them', async () => {
    await plane.apply(node('b', { keep: 'this' }));
    const [one, two] = [await begin(), await begin()];
    await one.datastore.patchNode('b', { [KEY]: 'a key' });
    await two.watch.until(({ cluster }) => cluster.nodes.get('b')?.publicKey[4] === 'a key');
    const stored = (await plane.api('GET', '/api/v1/nodes/b')) as Manifest;
    expect(stored.metadata['annotations']).toEqual({ keep: 'this', [KEY]: 'a key' });
    await one.datastore.patchNode('b', { [KEY]: null });
    await two.watch.until(({ cluster }) => cluster.nodes.get('b')?.publicKey[4] === undefined);
    await expect(one.datastore.patchNode('missing', { [KEY]: 'x' })).rejects.toMatchObject({ code: 'ENOENT' });
  });

  test('writes Events on the Node, and counts them', async () => {
    await plane.apply(node('c'));
    const { datastore, watch } = await begin();
    await watch.until(({ cluster }) => cluster.nodes.has('c'));
    const event = { node: 'c', type: 'Warning', reason: 'DuplicatePublicKey', message: 'twice' } as const;
    datastore.reportEvent(event);
    const read = async () => {
      const answer = (await plane.api('GET', '/api/v1/events?fieldSelector=involvedObject.name=c')) as {
        items: Manifest[];
      };
      return answer.items;
    };
    await until(async () => (await read()).length === 1);
    expect(await read()).toMatchObject([{ reason: 'DuplicatePublicKey', message: 'twice', count: 1 }]);
    // Another process with the same Event.
    (await begin()).datastore.reportEvent(event);
    await until(async () => (await read())[0]?.['count'] === 2);
    expect(await read()).toHaveLength(1);
  });

  test('pods only when requested', async () => {
    await plane.apply(
      { apiVersion: 'v1', kind: 'Namespace', metadata: { name: 'work' } },
      {
        apiVersion: 'v1',
        kind: 'Pod',
        metadata: { name: 'p', namespace: 'work' },
        spec: { nodeName: 'a', containers: [{ name: 'c', image: 'i' }] },
        status: { phase: 'Running', podIP: '10.0.9.9', podIPs: [{ ip: '10.0.9.9' }] },
      },
    );
    const { datastore, watch } = await begin();
    datastore.wantPods(true);
    const { cluster } = await watch.until(({ synced }) => synced);
    expect(cluster.pods.get('work/p')).toEqual({
      namespace: 'work',
      name: 'p',
      creationTimestamp: expect.any(String),
      node: 'a',
      addresses: [Uint8Array.of(10, 0, 9, 9)],
    });
  });

  test('more objects than a page', async () => {
    const names = Array.from({ length: 520 }, (_, i) => `many-${i}`);
    for (let i = 0; i < names.length; i += 20)
      await Promise.all(names.slice(i, i + 20).map(name => plane.api('POST', '/api/v1/nodes', node(name))));
    const { cluster } = await (await begin()).watch.until(({ synced }) => synced);
    expect(names.filter(name => !cluster.nodes.has(name))).toEqual([]);
    await plane.api('DELETE', '/api/v1/nodes');
  });

  test('a service account: reports missing permissions and continues once granted; its token is replaced', {
    timeout: 600_000,
  }, async () => {
    const account = { kind: 'ServiceAccount', name: 'agent', namespace: 'default' };
    await plane.apply({ apiVersion: 'v1', kind: 'ServiceAccount', metadata: { name: 'agent', namespace: 'default' } });
    const root = join(plane.folder, 'pod');
    const secrets = join(root, 'var/run/secrets/kubernetes.io/serviceaccount');
    mkdirSync(secrets, { recursive: true });
    writeFileSync(join(secrets, 'ca.crt'), await (await import('node:fs/promises')).readFile(plane.caFile));
    writeFileSync(join(secrets, 'token'), 'expired');
    const url = new URL(plane.server);
    const env = { KUBERNETES_SERVICE_HOST: url.hostname, KUBERNETES_SERVICE_PORT: url.port };
    Object.assign(process.env, env);
    const datastore = await openApiDatastore({ env, root });
    open.push(datastore);
    const watch = watching(datastore);
    await watch.until(({ problems }) => problems.some(({ message }) => message.includes('401')));
    const path = '/api/v1/namespaces/default/serviceaccounts/agent/token';
    const answer = await plane.api('POST', path, {
      apiVersion: 'authentication.k8s.io/v1',
      kind: 'TokenRequest',
      spec: {},
    });
    writeFileSync(join(secrets, 'token'), (answer as { status: { token: string } }).status.token);
    await watch.until(({ problems }) => problems.some(({ message }) => message.includes('403 Forbidden')));
    const read = { apiGroups: ['', 'crd.projectcalico.org'], resources: ['*'], verbs: ['get', 'list', 'watch'] };
    await plane.apply(
      { apiVersion: 'rbac.authorization.k8s.io/v1', kind: 'ClusterRole', metadata: { name: 'agent' }, rules: [read] },
      {
        apiVersion: 'rbac.authorization.k8s.io/v1',
        kind: 'ClusterRoleBinding',
        metadata: { name: 'agent' },
        roleRef: { apiGroup: 'rbac.authorization.k8s.io', kind: 'ClusterRole', name: 'agent' },
        subjects: [account],
      },
    );
    await watch.until(({ synced, problems }) => synced && problems.length === 0);
    await expect(datastore.patchNode('a', { [KEY]: 'x' })).rejects.toMatchObject({ code: 'EACCES' });
  });

  test('a server outage, and the changes during it', async () => {
    await plane.apply(node('d'));
    const { datastore, watch } = await begin();
    const known = await watch.until(({ synced, cluster }) => synced && cluster.nodes.has('d'));
    await plane.stopApiServer();
    await watch.until(({ stale }) => stale !== undefined);
    expect(watch.snapshots.at(-1)!.cluster).toBe(known.cluster);
    await expect(datastore.patchNode('d', { [KEY]: 'x' })).rejects.toMatchObject({ code: 'EAGAIN' });
    await plane.startApiServer();
    await plane.apply(node('e'));
    await watch.until(({ stale, cluster }) => stale === undefined && cluster.nodes.has('e'));
  });
});

async function until(what: () => Promise<boolean>, within = HANG_MS): Promise<void> {
  for (const end = Date.now() + within; !(await what()); await new Promise(resolve => setTimeout(resolve, 100)))
    if (Date.now() > end) throw new Error(`not in ${within} ms: ${what}`);
}
