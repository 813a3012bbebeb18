/** What is found in a cluster, what is chosen for it, and what is reported as missing. */
import { describe, expect, test } from 'vitest';
import { codedError } from '../../../src/base/coded-error.ts';
import type { ApiCall } from '../../../src/calico/install/cluster/api.ts';
import { check } from '../../../src/calico/install/cluster/checks.ts';
import { choose } from '../../../src/calico/install/cluster/choice.ts';
import { inspectCluster } from '../../../src/calico/install/cluster/inspection.ts';
import { checkPermissions } from '../../../src/calico/install/cluster/permissions.ts';
import { type Installation, renderChoice } from '../../../src/calico/install/render/manifests.ts';
import { deployTree } from '../../support/deploy-tree.ts';
import { MemoryCluster } from '../../support/memory-cluster.ts';

const tree = await deployTree();
const CALICO = ['projectcalico.org', 'crd.projectcalico.org'];
const NODE_LABELS = { 'kubernetes.io/os': 'linux' };

interface Settings {
  readonly version?: string;
  readonly groups?: readonly string[];
  readonly namespace?: string | null;
  readonly env?: readonly object[];
  readonly installation?: object;
  readonly felix?: object;
  readonly nodes?: readonly object[];
}

/** A cluster with Calico by manifest, unless a setting says otherwise. */
function clusterOf({
  version = 'v1.36.4',
  groups = CALICO,
  namespace = 'kube-system',
  env = [{ name: 'DATASTORE_TYPE', value: 'kubernetes' }],
  installation,
  felix = { wireguardEnabled: true },
  nodes = [NODE_LABELS],
}: Settings = {}): MemoryCluster {
  const cluster = new MemoryCluster();
  cluster.put('/version', { gitVersion: version });
  cluster.put('/apis', { groups: groups.map(name => ({ name })) });
  cluster.put('/apis/admissionregistration.k8s.io/v1', { resources: [{ name: 'validatingadmissionpolicies' }] });
  for (const name of ['kube-system', 'calico-system'])
    cluster.put(`/api/v1/namespaces/${name}`, { metadata: { name } });
  for (const [i, labels] of nodes.entries())
    cluster.put(`/api/v1/nodes/n${i}`, { metadata: { name: `n${i}`, labels } });
  if (installation) cluster.put('/apis/operator.tigera.io/v1/installations/default', { ...installation });
  cluster.put('/apis/projectcalico.org/v3/felixconfigurations/default', { spec: felix });
  if (namespace !== null) {
    const containers = [{ name: 'other' }, { name: 'calico-node', env }];
    cluster.put('/apis/apps/v1/daemonsets/calico-node', {
      metadata: { name: 'calico-node', namespace, labels: { 'k8s-app': 'calico-node' } },
      spec: { template: { spec: { containers } } },
    });
  }
  return cluster;
}

function operator(spec: object, more: Settings = {}): Settings {
  return { namespace: 'calico-system', installation: { spec }, ...more };
}

async function chosen(settings: Settings) {
  const found = await inspectCluster(clusterOf(settings));
  return choose(found, { components: [] }, tree);
}

async function findings(settings: Settings, installation?: Installation): Promise<string[]> {
  const found = await inspectCluster(clusterOf(settings));
  const image = { name: 'wireguard-ts', newName: 'registry.example/wireguard-ts' };
  const choice = choose(found, { components: [], image, ...(installation && { installation }) }, tree);
  return check(found, choice, '0.2.0').map(({ severity, message }) => `${severity}: ${message}`);
}

describe('the choice', () => {
  const eks = { cni: { type: 'AmazonVPC' }, kubernetesProvider: 'EKS' };
  const aks = { cni: { type: 'AzureVNET' }, kubernetesProvider: 'AKS' };
  const openShift = { cni: { type: 'Calico' }, kubernetesProvider: 'OpenShift' };
  test.each<[string, Settings, Installation, string[]]>([
    ['Calico by manifest', {}, 'manifest', []],
    ['the operator', operator({ cni: { type: 'Calico' } }), 'operator', []],
    ['the operator without an Installation that may be read', { namespace: 'calico-system' }, 'operator', []],
    ['EKS with AWS CNI', operator(eks), 'eks-aws-cni', []],
    ['EKS with Calico CNI', operator({ ...eks, cni: { type: 'Calico' } }), 'operator', []],
    ['AKS with Azure CNI', operator(aks), 'aks-azure-cni', []],
    ['OpenShift', operator(openShift, { groups: [...CALICO, 'config.openshift.io'] }), 'openshift', []],
    ['EKS on OpenShift', operator(eks, { groups: [...CALICO, 'config.openshift.io'] }), 'eks-aws-cni', ['openshift']],
    ['Kubernetes 1.29', { version: 'v1.29.9+k3s1' }, 'manifest', ['before-1.30']],
    ['Kubernetes 2.0', { version: 'v2.0.0' }, 'manifest', []],
    ['WorkloadIPs', { felix: { routeSource: 'WorkloadIPs' } }, 'manifest', ['workload-ips']],
    ['host encryption', { felix: { wireguardHostEncryptionEnabled: true } }, 'manifest', ['host-encryption']],
    [
      'the variables of calico-node before the FelixConfiguration',
      {
        felix: { wireguardHostEncryptionEnabled: true },
        env: [{ name: 'felix_wireguardHostEncryptionEnabled', value: '0' }],
      },
      'manifest',
      [],
    ],
    ['host encryption on EKS', operator(eks, { felix: { wireguardHostEncryptionEnabled: true } }), 'eks-aws-cni', []],
  ])('for %s', async (_, settings, installation, components) => {
    expect(await chosen(settings)).toMatchObject({ installation, components });
  });

  test('the computed Installation counts before its spec, which may lack the defaults', async () => {
    const installation = { spec: { cni: { type: 'Calico' } }, status: { computed: eks } };
    expect(await chosen({ namespace: 'calico-system', installation })).toMatchObject({ installation: 'eks-aws-cni' });
  });

  test('the wish of the operator counts before what was found', async () => {
    const found = await inspectCluster(clusterOf({ groups: [...CALICO, 'config.openshift.io'] }));
    const wishes = { installation: 'operator', components: ['selinux', 'always', 'openshift'] } as const;
    // openshift includes selinux.
    expect(choose(found, wishes, tree)).toMatchObject({
      installation: 'operator',
      components: ['always', 'openshift'],
    });
  });

  test('a component that fits stays out if the operator says so, with a warning', async () => {
    const found = await inspectCluster(clusterOf({ felix: { wireguardHostEncryptionEnabled: true } }));
    const choice = choose(found, { components: ['metrics'], without: ['host-encryption', 'fail-closed'] }, tree);
    expect(choice).toMatchObject({ components: ['metrics'], left: ['host-encryption'] });
    expect(check(found, choice, '0.2.0')).toContainEqual(
      expect.objectContaining({ severity: 'warning', message: expect.stringContaining('host-encryption') }),
    );
    const again = choose(found, { components: [] }, tree);
    expect(again).toMatchObject({ components: ['host-encryption'] });
    expect(
      check(found, again, '0.2.0')
        .map(({ message }) => message)
        .join(),
    ).not.toContain('--without');
  });

  test('the variables of calico-node that the agent reads come along, and no others', async () => {
    const env = [
      { name: 'Felix_InterfacePrefix', value: 'eni' },
      { name: 'FELIX_LOGSEVERITYSCREEN', value: 'info' },
      { name: 'USE_POD_CIDR', value: 'true' },
      { name: 'FELIX_IPV6SUPPORT', value: 'true' },
      { name: 'FELIX_WIREGUARDMTU', valueFrom: { secretKeyRef: { name: 's', key: 'k' } } },
      { name: 'FELIX_ROUTESOURCE', valueFrom: { configMapKeyRef: { name: 'c', key: 'k' } } },
      { name: 'FELIX_BROKEN', value: 5 },
    ];
    const choice = (await chosen({ env }))!;
    const agent = renderChoice(tree, choice).find(({ kind }) => kind === 'DaemonSet')!;
    const { containers } = (agent['spec'] as { template: { spec: { containers: { env: object[] }[] } } }).template.spec;
    expect(containers[0]!.env.slice(1)).toEqual([
      {
        name: 'FELIX_WIREGUARDMTU',
        valueFrom: { configMapKeyRef: { name: 'calico-config', key: 'veth_mtu', optional: true } },
      },
      { name: 'FELIX_IPV6SUPPORT', value: 'true' },
      { name: 'Felix_InterfacePrefix', value: 'eni' },
      { name: 'USE_POD_CIDR', value: 'true' },
      { name: 'FELIX_ROUTESOURCE', valueFrom: { configMapKeyRef: { name: 'c', key: 'k' } } },
    ]);
  });

  test('nothing is chosen without Calico', async () => {
    expect(await chosen({ namespace: null })).toBeUndefined();
  });
});

describe('the check', () => {
  test('finds nothing in a cluster that has everything', async () => {
    expect(await findings({})).toEqual([]);
  });

  test.each<[string, Settings, RegExp]>([
    ['Calico is absent', { namespace: null, groups: [] }, /^error: Calico is not installed/],
    ['calico-node is absent', { namespace: null }, /^error: there is no DaemonSet calico-node/],
    ['no API group', { groups: [] }, /^error: the server has no API group of Calico/],
    ['etcd', { env: [{ name: 'ETCD_ENDPOINTS', value: 'x' }] }, /^error: calico-node keeps its data in etcd/],
    ['etcd by its type', { env: [{ name: 'DATASTORE_TYPE', value: 'etcdv3' }] }, /^error: calico-node keeps/],
    ['no Linux', { nodes: [{ 'kubernetes.io/os': 'windows' }] }, /^error: the cluster has no Linux node, only 1 of/],
    ['no nodes', { nodes: [] }, /^error: the cluster has no Linux node$/],
    ['WireGuard is off', { felix: {} }, /^hint: WireGuard is off in Calico/],
    ['eBPF', { felix: { wireguardEnabled: true, bpfEnabled: true } }, /^warning: Calico uses the eBPF data plane/],
    [
      'eBPF by the operator',
      operator({ calicoNetwork: { linuxDataplane: 'BPF' } }),
      /^warning: Calico uses the eBPF data plane/,
    ],
    ['an old version', { version: 'v1.28.0' }, /^hint: v1.28.0 has no tokens that name a node/],
    [
      'the module everywhere',
      { nodes: [{ ...NODE_LABELS, 'wireguard-ts.io/kernel-module': 'present' }] },
      /^hint: the kernels of all 1 Linux nodes have WireGuard/,
    ],
    ['OpenShift by manifest', { groups: [...CALICO, 'config.openshift.io'] }, /^warning: this is OpenShift/],
    [
      'host encryption',
      { felix: { wireguardEnabled: true, wireguardHostEncryptionEnabled: true } },
      /^hint: Calico encrypts traffic of the hosts too/,
    ],
  ])('reports: %s', async (_, settings, message) => {
    expect(await findings(settings)).toEqual([expect.stringMatching(message)]);
  });

  test('an absent Calico is a warning if the installation is named', async () => {
    expect(await findings({ namespace: null }, 'manifest')).toEqual([
      expect.stringMatching(/^warning: there is no DaemonSet calico-node/),
    ]);
  });

  test('reports another agent, an older one, and one of Helm', async () => {
    const agent = (namespace: string, image: string, annotations = {}) => {
      const labels = { 'app.kubernetes.io/name': 'wireguard-ts' };
      const template = { spec: { containers: [{ image }] } };
      return clusterOf().put('/apis/apps/v1/daemonsets/wireguard-ts', {
        metadata: { name: 'wireguard-ts', namespace, annotations, labels },
        spec: { template },
      });
    };
    const report = async (cluster: MemoryCluster) => {
      const found = await inspectCluster(cluster);
      const choice = choose(found, { components: [], image: { name: 'wireguard-ts' } }, tree);
      return check(found, choice, '0.2.0').map(({ severity, message }) => `${severity}: ${message}`);
    };
    expect(await report(agent('kube-system', 'wireguard-ts:0.2.0'))).toEqual([]);
    expect(await report(agent('kube-system', 'a:5000/wireguard-ts:0.1.0'))).toEqual([
      'hint: the agent in kube-system has version 0.1.0, and this program is 0.2.0',
    ]);
    expect(await report(agent('calico-system', 'wireguard-ts:0.2.0'))).toEqual([
      expect.stringMatching(/^error: an agent is installed in calico-system, .* kube-system: two would run/),
    ]);
    expect(await report(agent('kube-system', 'x', { 'meta.helm.sh/release-name': 'r' }))).toEqual([
      'error: the agent in kube-system belongs to the Helm release r',
    ]);
  });

  test('names what may not be read, and goes on', async () => {
    const cluster = clusterOf();
    for (const path of ['/api/v1/nodes', '/apis/projectcalico.org/v3/felixconfigurations/default'])
      cluster.forbidden.add(path);
    const found = await inspectCluster(cluster);
    const choice = choose(found, { components: [], image: { name: 'wireguard-ts' } }, tree);
    expect(check(found, choice, '0.2.0').map(({ message }) => message)).toEqual([
      expect.stringMatching(/^FelixConfiguration default cannot be read, so it was not checked: .*403 Forbidden$/),
      expect.stringMatching(/^Nodes cannot be read, so it was not checked: .*403 Forbidden$/),
    ]);
  });

  test("reads Calico's CRDs if its API server does not answer", async () => {
    const cluster = clusterOf({ felix: {} });
    cluster.put('/apis/crd.projectcalico.org/v1/felixconfigurations/default', { spec: { wireguardEnabled: true } });
    const api = {
      send: async (call: ApiCall) => {
        if (call.path.startsWith('/apis/projectcalico.org/')) throw codedError('EAGAIN', '503');
        return await cluster.send(call);
      },
    };
    const found = await inspectCluster(api);
    expect(found.felix).toEqual({ wireguardEnabled: true });
    expect([...found.unread]).toEqual([]);
    cluster.objects.delete('/apis/crd.projectcalico.org/v1/felixconfigurations/default');
    expect([...(await inspectCluster(api)).unread]).toEqual([['FelixConfiguration default', '503']]);
  });

  test('a server that does not answer at all is an error', async () => {
    const api = { send: async () => Promise.reject(codedError('EAGAIN', 'connect ECONNREFUSED')) };
    await expect(inspectCluster(api)).rejects.toMatchObject({ code: 'EAGAIN' });
  });

  test('answers that are no objects of Kubernetes break nothing', async () => {
    for (const answer of [null, 'text', 5, [], {}, { items: [null, 1, { metadata: 5 }], groups: [null, {}] }]) {
      const cluster = { send: async () => answer };
      const found = await inspectCluster(cluster);
      expect(() => check(found, choose(found, { components: [] }, tree), '0.2.0')).not.toThrow();
    }
  });

  test('a list whose pages never end has an end', async () => {
    const cluster = { send: async () => ({ items: [{}], metadata: { continue: 'more' } }) };
    expect((await inspectCluster(cluster)).nodes.linux).toBe(1000);
  });
});

test('missing permissions are named once for each kind and verb', async () => {
  const cluster = clusterOf();
  const objects = renderChoice(tree, { installation: 'manifest', components: [], env: [] });
  expect(await checkPermissions(cluster, objects, ['create', 'patch'])).toEqual([]);
  cluster.forbidden.add('patch daemonsets');
  cluster.forbidden.add('create clusterroles');
  const [finding, ...others] = await checkPermissions(cluster, objects, ['create', 'patch']);
  expect(others).toEqual([]);
  expect(finding!.message).toBe(
    'this user may not: create ClusterRole wireguard-ts, patch DaemonSet kube-system/wireguard-ts',
  );
});
