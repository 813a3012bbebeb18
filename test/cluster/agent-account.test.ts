/**
 * The agent's own datastore with only its pod's token: the manifests' permissions suffice, and each
 * is needed.
 */
import { afterAll, afterEach, beforeAll, expect, test } from 'vitest';
import { openApiDatastore } from '../../src/calico/datastore/api/datastore.ts';
import type { Datastore } from '../../src/calico/datastore/datastore.ts';
import { watching } from '../calico/datastore/api/watching.ts';
import { HANG_MS } from '../support/patience.ts';
import { Administrator } from './administrator.ts';
import { calicoCrds } from './calico-crds.ts';
import { type ControlPlane, describeCluster, type Manifest, startControlPlane } from './control-plane.ts';
import { KUBECTL_LIMIT_MS } from './kubectl.ts';
import { withOverlay } from './overlay.ts';

const GROUP = 'crd.projectcalico.org/v1';
const KEY = 'projectcalico.org/WireguardPublicKey';

describeCluster('the agent as its service account', () => {
  let plane: ControlPlane;
  let kubeconfig: string;
  let open: Datastore[] = [];
  let kubectl: Administrator;

  beforeAll(async () => {
    plane = await startControlPlane();
    kubectl = await Administrator.of(plane);
    await plane.apply(...calicoCrds(GROUP), { apiVersion: 'v1', kind: 'Node', metadata: { name: 'worker-1' } });
    await plane.apply(
      {
        apiVersion: GROUP,
        kind: 'FelixConfiguration',
        metadata: { name: 'default' },
        spec: { wireguardEnabled: true },
      },
      { apiVersion: GROUP, kind: 'IPPool', metadata: { name: 'pool' }, spec: { cidr: '192.168.0.0/16' } },
    );
    install(['before-1.30']);
    const pod: Manifest = {
      apiVersion: 'v1',
      kind: 'Pod',
      metadata: { name: 'agent', namespace: 'kube-system' },
      spec: { nodeName: 'worker-1', serviceAccountName: 'wireguard-ts', containers: [{ name: 'agent', image: 'i' }] },
    };
    await plane.apply(pod);
    const bound = ['--bound-object-kind=Pod', '--bound-object-name=agent'];
    const token = kubectl.ask(['create', 'token', 'wireguard-ts', '-n', 'kube-system', ...bound]).trim();
    kubeconfig = plane.kubeconfigFor(token, 'agent');
  }, KUBECTL_LIMIT_MS);
  afterEach(async () => {
    await Promise.all(open.map(datastore => datastore.close()));
    open = [];
  });
  afterAll(async () => await plane?.stop());

  test('reads all requested kinds', async () => {
    const { cluster, problems } = await begin().then(({ watch }) => watch.until(({ synced }) => synced));
    expect(problems).toEqual([]);
    expect([...cluster.nodes.keys()]).toEqual(['worker-1']);
    expect([...cluster.ipPools.keys()]).toEqual(['pool']);
    expect(cluster.felixConfigurations.get('default')!.parameters.get('wireguardenabled')).toBe('true');
  });

  test.each([[['before-1.30']], [[]]])('publishes its key, and withdraws it (%s)', async components => {
    install(components);
    const { datastore } = await begin();
    await datastore.patchNode('worker-1', { [KEY]: 'a key' });
    expect(await annotations()).toEqual({ [KEY]: 'a key' });
    await datastore.patchNode('worker-1', { [KEY]: null });
    expect(await annotations()).toEqual({});
  });

  test('writes an Event, and raises the count of an existing one', async () => {
    const event = { node: 'worker-1', type: 'Warning', reason: 'DuplicatePublicKey', message: 'twice' } as const;
    const count = async () => {
      const { items } = (await plane.api('GET', '/api/v1/namespaces/default/events')) as { items: Manifest[] };
      return items.map(item => item['count']);
    };
    const tell = async () => (await begin()).datastore.reportEvent(event);
    await tell();
    await expect.poll(count, { timeout: HANG_MS }).toEqual([1]);
    await tell();
    await expect.poll(count, { timeout: HANG_MS }).toEqual([2]);
  });

  test('reads Pods with the component workload-ips, and not without', async () => {
    const pods = async () => {
      const { datastore, watch } = await begin();
      await watch.until(({ synced }) => synced);
      datastore.wantPods(true);
      return watch;
    };
    const without = await pods();
    const { stale } = await without.until(snapshot => snapshot.stale !== undefined);
    expect(stale).toMatch(/pods.*forbidden|forbidden.*pods/i);
    install(['workload-ips']);
    const watch = await pods();
    expect((await watch.until(({ synced }) => synced)).stale).toBeUndefined();
  });

  test('writes to IPAM with the component allocate, and not without', async () => {
    const handle = { metadata: { name: 'h' }, spec: { handleID: 'h', block: {} } };
    const affinity = {
      metadata: { name: 'worker-1-b' },
      spec: { cidr: '192.168.0.0/26', node: 'worker-1', type: 'host', state: 'pending', deleted: 'false' },
    };
    const block = {
      metadata: { name: 'b' },
      spec: { cidr: '192.168.0.0/26', strictAffinity: false, allocations: [], unallocated: [], attributes: [] },
    };
    const all = [
      ['IPAMHandle', handle],
      ['BlockAffinity', affinity],
      ['IPAMBlock', block],
    ] as const;
    const { datastore } = await begin();
    for (const [kind, object] of all)
      await expect(datastore.objects.create(kind, object)).rejects.toMatchObject({ code: 'EACCES' });
    install(['allocate']);
    for (const [kind, object] of all) {
      const created = await datastore.objects.create(kind, object);
      expect((await datastore.objects.list(kind)).map(({ metadata }) => metadata.name)).toEqual([object.metadata.name]);
      const replaced = await datastore.objects.replace(kind, created);
      expect(await datastore.objects.get(kind, object.metadata.name)).toEqual(replaced);
      await datastore.objects.delete(kind, replaced);
    }
  });

  function install(components: readonly string[]): void {
    withOverlay('manifest-install', components, folder => kubectl.ask(['apply', '-k', folder]));
  }

  async function begin() {
    const datastore = await openApiDatastore({ kubeconfig, env: {} });
    open.push(datastore);
    return { datastore, watch: watching(datastore) };
  }

  async function annotations(): Promise<object> {
    const node = (await plane.api('GET', '/api/v1/nodes/worker-1')) as Manifest;
    return (node.metadata['annotations'] as object | undefined) ?? {};
  }
});
