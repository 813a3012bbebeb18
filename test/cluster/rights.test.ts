/**
 * The service accounts' permissions, checked with their own tokens: the agent's requests are
 * granted, others refused; own-node-only.
 */
import { spawnSync } from 'node:child_process';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { REPOSITORY } from '../support/guide.ts';
import { HANG_MS } from '../support/patience.ts';
import { Administrator } from './administrator.ts';
import { calicoCrds } from './calico-crds.ts';
import { type ControlPlane, describeCluster, startControlPlane } from './control-plane.ts';
import { KUBECTL_LIMIT_MS } from './kubectl.ts';
import { withOverlay } from './overlay.ts';

const NAMESPACE = 'kube-system';
const KEY = 'projectcalico.org/WireguardPublicKey';
const LABEL = 'wireguard-ts.io/kernel-module';
const NODES = ['worker-1', 'worker-2'];

let plane: ControlPlane;
let server: Administrator;
/** The token of a DaemonSet pod on worker-1. */
let agent: string;
let labeller: string;

describeCluster('permissions on a real API server', () => {
  beforeAll(async () => {
    plane = await startControlPlane();
    server = await Administrator.of(plane);
    await plane.apply(...calicoCrds('crd.projectcalico.org/v1'));
    const metadata = (name: string) => ({ name, annotations: { theirs: 'stays' }, labels: { theirs: 'stays' } });
    for (const name of NODES)
      server.ask(['create', '-f', '-'], JSON.stringify({ apiVersion: 'v1', kind: 'Node', metadata: metadata(name) }));
    apply(['before-1.30']);
    [agent, labeller] = ['wireguard-ts', 'wireguard-ts-labeller'].map(podToken) as [string, string];
  }, KUBECTL_LIMIT_MS);
  afterAll(async () => await plane?.stop());

  describe('the agent may', () => {
    test.each([
      ['read Nodes', ['get', 'node', 'worker-2']],
      ['list Nodes', ['get', 'nodes']],
      ['list FelixConfigurations', ['get', 'felixconfigurations']],
      ['list IPPools', ['get', 'ippools']],
      ['list IPAMBlocks', ['get', 'ipamblocks']],
      ['list the API groups', ['api-versions']],
    ])('%s', (_, args) => {
      expect(server.kubectl(args, { token: agent })).toMatchObject({ status: 0 });
    });

    test('publish and remove its key, like Felix', async () => {
      expect(await patchStatus('worker-1', { [KEY]: 'a key' }, agent)).toMatchObject({ code: 200 });
      expect(annotation('worker-1', KEY)).toBe('a key');
      expect(await patchStatus('worker-1', { [KEY]: null }, agent)).toMatchObject({ code: 200 });
      expect(annotation('worker-1', KEY)).toBe('');
    });

    test('write an Event about a Node, in the namespace of such Events', () => {
      expect(server.kubectl(['create', '-f', '-'], { input: event('default'), token: agent })).toMatchObject({
        status: 0,
      });
      // The API server itself requires this namespace.
      expect(server.kubectl(['create', '-f', '-'], { input: event(NAMESPACE) }).err).toMatch(
        /does not match event.namespace/,
      );
    });
  });

  describe('the agent may not', () => {
    test.each([
      ['label a Node', ['label', 'node', 'worker-1', 'x=y']],
      ['taint a Node', ['taint', 'node', 'worker-1', 'x=y:NoSchedule']],
      ['delete a Node', ['delete', 'node', 'worker-1']],
      ['read Pods', ['get', 'pods', '-A']],
      ['read Secrets', ['get', 'secrets', '-n', NAMESPACE]],
      ['write configuration', ['create', '-f', '-', '--validate=false']],
      ['write Calico blocks', ['delete', 'ipamblocks', '--all']],
      ['write Events elsewhere', ['create', '-f', '-', '--validate=false', '-n', NAMESPACE]],
      ['make tokens', ['create', 'token', 'wireguard-ts-labeller', '-n', NAMESPACE]],
      ['run programs in Pods', ['auth', 'can-i', 'create', 'pods', '--subresource=exec', '-n', NAMESPACE, '--quiet']],
    ])('%s', (what, args) => {
      const input = what.includes('Events') ? event(NAMESPACE) : felixConfiguration();
      if (what.includes('blocks')) server.kubectl(['create', '-f', '-'], { input: block() });
      const { status, err } = server.kubectl(args, { token: agent, input });
      expect(status).not.toBe(0);
      if (!args.includes('can-i')) expect(err).toMatch(/forbidden/i);
    });

    test('anything else: these are all its permissions in its namespace', () => {
      const { out } = server.kubectl(['auth', 'can-i', '--list', '--no-headers', '-n', NAMESPACE], { token: agent });
      const granted = out
        .split('\n')
        .filter(line => line.trim() !== '' && !/^(selfsubject|clustertrustbundles|\s)/.test(line));
      const rows = granted.map(line => line.replace(/\s+\[\]\s+\[\]\s+/, ' ').trim());
      expect(rows.sort()).toEqual(
        [
          'nodes [get list watch]',
          'nodes/status [patch]',
          ...['crd.projectcalico.org', 'projectcalico.org'].flatMap(group =>
            ['clusterinformations', 'felixconfigurations', 'ipamblocks', 'ippools'].map(
              kind => `${kind}.${group} [get list watch]`,
            ),
          ),
        ].sort(),
      );
    });
  });

  test('the labeller labels and reads its Node, and reads nothing of Calico', () => {
    expect(server.kubectl(['label', 'node', 'worker-1', `${LABEL}=absent`], { token: labeller })).toMatchObject({
      status: 0,
    });
    expect(server.kubectl(['label', 'node', 'worker-1', `${LABEL}-`], { token: labeller })).toMatchObject({
      status: 0,
    });
    for (const args of [
      ['get', 'felixconfigurations'],
      ['get', 'nodes'],
      ['get', 'pods', '-A'],
    ])
      expect(server.kubectl(args, { token: labeller }).err).toMatch(/forbidden/i);
  });

  test('the program itself labels with the rights of the labeller', () => {
    const args = [join(REPOSITORY, 'dist/program/wgts.cjs'), 'doctor', '--label', '--once'];
    const kubeconfig = plane.kubeconfigFor(labeller, 'labeller');
    const env = { ...process.env, NODENAME: 'worker-1' };
    const ran = spawnSync(process.execPath, [...args, '--kubeconfig', kubeconfig], { env, encoding: 'utf8' });
    expect(ran, ran.stderr).toMatchObject({ status: 0, stderr: '' });
    const [, value] = /=(present|absent)\n$/.exec(ran.stdout) ?? [];
    const labels = JSON.parse(server.ask(['get', 'node', 'worker-1', '-o', 'jsonpath={.metadata.labels}'])) as object;
    expect(labels).toMatchObject({ theirs: 'stays', [LABEL]: value });
    server.ask(['label', 'node', 'worker-1', `${LABEL}-`]);
  });

  test('components grant the permissions of their name', () => {
    const can = (verb: string, kind: string) =>
      server.kubectl(['auth', 'can-i', verb, kind, '-A'], { token: agent }).out.trim();
    const asked = [
      'list pods',
      'watch pods',
      'create ipamhandles.crd.projectcalico.org',
      'update ipamblocks.crd.projectcalico.org',
      'delete blockaffinities.crd.projectcalico.org',
    ];
    const all = () => asked.map(each => can(...(each.split(' ') as [string, string])));
    expect(all()).toEqual(asked.map(() => 'no'));
    apply(['workload-ips', 'allocate', 'before-1.30']);
    expect(all()).toEqual(asked.map(() => 'yes'));
  });

  describe('own-node-only', () => {
    const own = () => patchStatus('worker-1', { [KEY]: `${Math.random()}` }, agent);
    const foreign = () => patchStatus('worker-2', { [KEY]: `${Math.random()}` }, agent);

    test("without it (before-1.30) RBAC lets one node write another's Node", async () => {
      expect([await own(), await foreign()]).toMatchObject([{ code: 200 }, { code: 200 }]);
    });

    test('with it an agent changes only its own Node', async () => {
      apply([]);
      // A policy takes effect some seconds after its creation.
      await expect
        .poll(async () => (await foreign()).says, { timeout: HANG_MS, interval: 500 })
        .toMatch(/may change its own Node only/);
      expect(await own()).toMatchObject({ code: 200 });
      expect(await patchStatus('worker-1', { [KEY]: null, [`${KEY}V6`]: 'six' }, agent)).toMatchObject({ code: 200 });
      expect(annotation('worker-1', `${KEY}V6`)).toBe('six');
    });

    test.each([
      ['another annotation', { metadata: { annotations: { theirs: 'changed' } } }, /annotations of WireGuard only/],
      ['removing another annotation', { metadata: { annotations: { theirs: null } } }, /annotations of WireGuard only/],
      ['a new annotation', { metadata: { annotations: { mine: 'x' } } }, /annotations of WireGuard only/],
      [
        'the address of the node',
        { metadata: { annotations: { 'projectcalico.org/IPv4Address': '10.0.0.1/24' } } },
        /annotations of WireGuard only/,
      ],
      ['a label', { metadata: { labels: { [LABEL]: 'present' } } }, /label wireguard-ts.io\/kernel-module only/],
      ['the status itself', { status: { nodeInfo: { kernelVersion: '1' } } }, /neither spec nor status/],
    ])('an agent may not change %s', async (_, patch, reason) => {
      const { code, says } = await server.patch('/api/v1/nodes/worker-1/status', patch, agent);
      expect(says).toMatch(reason);
      expect(code).toBe(403);
    });

    test('a token that is not bound to a pod changes nothing', async () => {
      const token = server.ask(['create', 'token', 'wireguard-ts', '-n', NAMESPACE]).trim();
      expect((await patchStatus('worker-1', { [KEY]: 'x' }, token)).says).toMatch(/its own Node only/);
    });

    test('the labeller changes only its label, on its own Node', async () => {
      const patch = async (node: string, what: object) =>
        (await server.patch(`/api/v1/nodes/${node}`, what, labeller)).says;
      expect(await patch('worker-1', { metadata: { labels: { [LABEL]: 'absent' } } })).toBe('');
      expect(await patch('worker-2', { metadata: { labels: { [LABEL]: 'absent' } } })).toMatch(/its own Node only/);
      expect(await patch('worker-1', { metadata: { labels: { theirs: 'x' } } })).toMatch(/kernel-module only/);
      expect(await patch('worker-1', { metadata: { labels: { theirs: null } } })).toMatch(/kernel-module only/);
      expect(await patch('worker-1', { metadata: { annotations: { [KEY]: 'x' } } })).toMatch(
        /annotations of WireGuard/,
      );
      expect(await patch('worker-1', { spec: { unschedulable: true } })).toMatch(/neither spec nor status/);
    });

    test('other accounts are not affected', () => {
      expect(server.kubectl(['label', 'node', 'worker-2', 'x=y'])).toMatchObject({ status: 0 });
      expect(server.kubectl(['annotate', 'node', 'worker-2', `${KEY}-`])).toMatchObject({ status: 0 });
    });
  });
});

type Answer = Promise<{ code: number | undefined; says: string }>;

function patchStatus(node: string, annotations: Readonly<Record<string, string | null>>, token: string): Answer {
  return server.patch(`/api/v1/nodes/${node}/status`, { metadata: { annotations } }, token);
}

function annotation(node: string, name: string): string {
  const path = name.replace(/\./g, '\\.');
  return server.ask(['get', 'node', node, '-o', `jsonpath={.metadata.annotations.${path}}`]);
}

/** Requests a token like the kubelet: bound to a pod, and thereby to that pod's node. */
function podToken(account: string): string {
  const pod = {
    apiVersion: 'v1',
    kind: 'Pod',
    metadata: { name: account, namespace: NAMESPACE },
    spec: { nodeName: 'worker-1', serviceAccountName: account, containers: [{ name: 'agent', image: 'wireguard-ts' }] },
  };
  server.ask(['create', '-f', '-'], JSON.stringify(pod));
  return server
    .ask(['create', 'token', account, '-n', NAMESPACE, '--bound-object-kind=Pod', `--bound-object-name=${account}`])
    .trim();
}

function apply(components: readonly string[]): void {
  withOverlay('manifest-install', components, folder => server.ask(['apply', '-k', folder]));
}

function event(namespace: string): string {
  return JSON.stringify({
    apiVersion: 'v1',
    kind: 'Event',
    metadata: { name: 'worker-1.1', namespace },
    involvedObject: { apiVersion: 'v1', kind: 'Node', name: 'worker-1' },
    reason: 'InvalidPublicKey',
    message: 'a test',
    type: 'Warning',
    source: { component: 'wireguard-ts' },
  });
}

function felixConfiguration(): string {
  return JSON.stringify({
    apiVersion: 'crd.projectcalico.org/v1',
    kind: 'FelixConfiguration',
    metadata: { name: 'default' },
    spec: {},
  });
}

function block(): string {
  const spec = { cidr: '10.1.0.0/26', allocations: [], unallocated: [], attributes: [], strictAffinity: false };
  return JSON.stringify({
    apiVersion: 'crd.projectcalico.org/v1',
    kind: 'IPAMBlock',
    metadata: { name: 'b' },
    spec,
  });
}
