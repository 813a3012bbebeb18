/**
 * `wgts calico install` against a real API server with Calico's real kinds: what it finds, what it
 * applies, and that applying again changes nothing.
 */
import { join } from 'node:path';
import { loadAllYaml } from '@kubernetes/client-node';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { runProgram } from '../cli/run-wgts.ts';
import { REPOSITORY } from '../support/guide.ts';
import { Administrator } from './administrator.ts';
import { type ControlPlane, describeCluster, startControlPlane } from './control-plane.ts';
import { addCalico, agentSet, calicoNode, KINDS, OWN, ownObjects, versions, wgtsCalico } from './install-steps.ts';
import { KUBECTL_LIMIT_MS } from './kubectl.ts';
import { withOverlay } from './overlay.ts';

const MANAGER = 'wgts-calico-install';
const IMAGE = 'registry.example/wireguard-ts:0.2.0';

let plane: ControlPlane;
let server: Administrator;
const wgts = (...args: readonly string[]) => wgtsCalico(plane.kubeconfig, ...args);
const env = async () => (await agentSet(plane)).spec.template.spec.containers[0]!.env!;

describeCluster('wgts calico install', () => {
  beforeAll(async () => {
    plane = await startControlPlane();
    server = await Administrator.of(plane);
  }, KUBECTL_LIMIT_MS);
  afterAll(async () => await plane?.stop());

  test('without Calico it says so, and installs nothing', async () => {
    const { status, out, err } = await wgts('install', '--apply');
    expect([status, out]).toEqual([1, '']);
    expect(err).toMatch(/^Error: Calico is not installed: .*\n {2}install Calico first/m);
    expect(err).toMatch(/^Error: the cluster has no Linux node$/m);
    expect(ownObjects(server)).toEqual([]);
  });

  describe('beside Calico by manifest', () => {
    beforeAll(async () => await addCalico(plane));

    test('it prints what kubectl accepts, with the variables of calico-node, and changes nothing', async () => {
      const { status, out, err } = await wgts('install', '--image', IMAGE);
      expect(status, err).toBe(0);
      expect(err).toMatch(/^Kubernetes: v1\.\d+\S*; Linux nodes: 2, 0 of them with WireGuard in the kernel$/m);
      expect(err).toMatch(/^Calico: by manifest, in kube-system$/m);
      expect(err).toMatch(/^Installation: manifest, into kube-system$/m);
      expect(err).toMatch(/^Note: WireGuard is off in Calico, .*\n {2}to switch it on: kubectl patch/m);
      expect(loadAllYaml(out)).toHaveLength(ownKinds().length);
      const dry = server.kubectl(['apply', '--dry-run=server', '--validate=strict', '-f', '-'], { input: out });
      expect(dry).toMatchObject({ status: 0, err: '' });
      expect(ownObjects(server)).toEqual([]);
    });

    test('--dry-run and --diff show everything as new, and change nothing', async () => {
      const dry = await wgts('install', '--dry-run');
      expect(dry.status, dry.err).toBe(0);
      expect(dry.out).toMatch(/^DaemonSet kube-system\/wireguard-ts created \(server dry run\)$/m);
      const diff = await wgts('install', '--diff');
      expect([diff.status, diff.out]).toEqual([1, expect.stringMatching(/^\+kind: DaemonSet$/m)]);
      expect(ownObjects(server)).toEqual([]);
    });

    test('--apply installs it', async () => {
      const { status, out, err } = await wgts('install', '--apply', '--image', IMAGE);
      expect(status, err).toBe(0);
      expect(out.trim().split('\n')).toEqual(ownKinds().map(name => `${name} created`));
      const { containers } = (await agentSet(plane)).spec.template.spec;
      expect(containers[0]!.image).toBe(IMAGE);
      expect(await env()).toEqual([
        { name: 'NODENAME', valueFrom: { fieldRef: { apiVersion: 'v1', fieldPath: 'spec.nodeName' } } },
        {
          name: 'FELIX_WIREGUARDMTU',
          valueFrom: { configMapKeyRef: { name: 'calico-config', key: 'veth_mtu', optional: true } },
        },
        { name: 'FELIX_IPV6SUPPORT', value: 'true' },
        { name: 'FELIX_INTERFACEPREFIX', value: 'veth' },
      ]);
    });

    test('a second time nothing changes, and there is no difference', async () => {
      const before = versions(server);
      const { status, out } = await wgts('install', '--apply', '--image', IMAGE);
      expect(status).toBe(0);
      expect(out.trim().split('\n')).toEqual(ownKinds().map(name => `${name} unchanged`));
      expect(versions(server)).toBe(before);
      expect(await wgts('install', '--diff', '--image', IMAGE)).toMatchObject({ status: 0, out: '' });
    });

    test('--diff shows what a component would change, --apply changes it, and leaving it out takes it back', async () => {
      const diff = await wgts('install', '--diff', '--image', IMAGE, '--with', 'fail-closed,before-1.30');
      expect(diff.status).toBe(1);
      expect(diff.out).toMatch(/^\+ +- '--fail-closed'$/m);
      expect(diff.out).toMatch(/^--- live ValidatingAdmissionPolicy wireguard-ts-own-node-only$/m);
      expect(ownObjects(server).join()).toContain('own-node-only');
      const { out } = await wgts('install', '--apply', '--image', IMAGE, '--with', 'fail-closed,before-1.30');
      expect(out).toMatch(/^DaemonSet kube-system\/wireguard-ts configured$/m);
      expect(out).toMatch(/^ValidatingAdmissionPolicy wireguard-ts-own-node-only deleted$/m);
      expect(ownObjects(server).join()).not.toContain('own-node-only');
      await wgts('install', '--apply', '--image', IMAGE);
      expect((await agentSet(plane)).spec.template.spec.containers[0]!.args).not.toContain('--fail-closed');
      expect(ownObjects(server).join()).toContain('own-node-only');
    });

    test('--without removes a component that was chosen by itself', async () => {
      const [group, metadata] = ['crd.projectcalico.org/v1', { name: 'default' }];
      const spec = { wireguardHostEncryptionEnabled: true };
      const initContainers = async () => (await agentSet(plane)).spec.template.spec.initContainers?.length ?? 0;
      const without = await initContainers();
      await plane.apply({ apiVersion: group, kind: 'FelixConfiguration', metadata, spec });
      await wgts('install', '--apply', '--image', IMAGE);
      expect(await initContainers()).toBeGreaterThan(without);
      const { err } = await wgts('install', '--apply', '--image', IMAGE, '--without', 'host-encryption');
      expect(err).toContain('Warning: the component host-encryption fits this cluster, but --without leaves it out');
      expect(await initContainers()).toBe(without);
      await plane.api('DELETE', `/apis/${group}/felixconfigurations/default`);
    });

    test('what people set on the objects stays', async () => {
      await wgts('install', '--apply', '--image', IMAGE);
      server.ask(['annotate', 'daemonset', 'wireguard-ts', '-n', 'kube-system', 'theirs=stays']);
      expect((await wgts('install', '--apply', '--image', IMAGE)).out).not.toContain('configured');
      expect((await agentSet(plane)).metadata.annotations).toMatchObject({ theirs: 'stays' });
    });

    test('an agent in another namespace stops it', async () => {
      server.ask(['create', 'namespace', 'calico-system']);
      const { status, err } = await wgts('install', '--apply', '--for', 'operator');
      expect(status).toBe(1);
      expect(err).toMatch(
        /^Error: an agent is installed in kube-system, .* calico-system: two would run on each node$/m,
      );
      expect((await wgts('install', '--diff', '--for', 'operator')).status).toBe(3);
    });
  });

  describe('an upgrade of what kubectl applied', () => {
    beforeAll(() => {
      server.ask(['delete', KINDS, '-n', 'kube-system', OWN]);
      server.ask(['delete', KINDS, '-n', 'default', OWN]);
    });

    test.each([[[]], [['--server-side', '--force-conflicts']]])('%s', async flags => {
      server.ask(['delete', 'daemonset', '-n', 'kube-system', OWN]);
      // An older image, an argument and a variable that the new manifests do not have.
      const old = `patches:
  - target: { kind: DaemonSet, name: wireguard-ts }
    patch: |-
      - { op: add, path: /spec/template/spec/containers/0/env/-, value: { name: OLD, value: "1" } }
      - { op: add, path: /spec/template/spec/containers/0/args/-, value: --old }
images: [{ name: wireguard-ts, newTag: 0.1.0 }]`;
      withOverlay('manifest-install', [], folder => server.ask(['apply', ...flags, '-k', folder]), old);
      expect((await env()).map(({ name }) => name)).toContain('OLD');

      const diff = await wgts('install', '--diff', '--image', IMAGE);
      expect(diff.err).toMatch(/^Note: the agent in kube-system has version 0\.1\.0, and this program is /m);
      expect(diff.status).toBe(1);
      expect(diff.out).toMatch(/^- +- name: OLD$/m);
      expect(diff.out).toMatch(/^- +- '--old'$/m);
      // The defaults that kubectl owns too are no difference.
      expect(diff.out).not.toMatch(/terminationMessagePath/);

      expect((await wgts('install', '--apply', '--image', IMAGE)).status).toBe(0);
      const { metadata, spec } = await agentSet(plane);
      expect((await env()).map(({ name }) => name)).not.toContain('OLD');
      expect(spec.template.spec.containers[0]).toMatchObject({
        image: IMAGE,
        args: expect.not.arrayContaining(['--old']),
      });
      expect(JSON.stringify(metadata.annotations ?? {})).not.toContain('last-applied');
      const managers = (metadata.managedFields as { manager: string; subresource?: string }[]).map(
        each => each.manager,
      );
      expect(managers).toEqual([MANAGER]);
      expect(await wgts('install', '--diff', '--image', IMAGE)).toMatchObject({ status: 0, out: '' });
    });
  });

  describe('without permissions', () => {
    const roleOf = (...rules: object[]) => ({
      apiVersion: 'rbac.authorization.k8s.io/v1',
      kind: 'ClusterRole',
      metadata: { name: 'reader' },
      rules,
    });
    let reader: string;
    beforeAll(async () => {
      server.ask(['create', 'serviceaccount', 'reader', '-n', 'default']);
      server.ask(['create', 'clusterrolebinding', 'reader', '--clusterrole=reader', '--serviceaccount=default:reader']);
      const token = server.ask(['create', 'token', 'reader', '-n', 'default']).trim();
      reader = plane.kubeconfigFor(token, 'reader');
    });

    test('to read: it names what it could not check, and needs --for', async () => {
      const { status, err } = await wgtsCalico(reader, 'install');
      expect(status).toBe(1);
      expect(err).toMatch(/^Error: it is not known how Calico was installed, because DaemonSets cannot be read$/m);
      expect(err).toMatch(/^Warning: Nodes cannot be read, so it was not checked: .*forbidden/m);
      const named = await wgtsCalico(reader, 'install', '--for', 'manifest');
      expect(named.status, named.err).toBe(0);
      expect(loadAllYaml(named.out)).toHaveLength(ownKinds().length);
    });

    test('to write: it names what is missing before it changes anything', async () => {
      await plane.apply(roleOf({ apiGroups: ['*'], resources: ['*'], verbs: ['get', 'list'] }));
      const before = versions(server);
      const ask = async () => await wgtsCalico(reader, 'install', '--apply', '--with', 'always');
      // RBAC takes effect some moments after its change.
      await expect.poll(async () => (await ask()).err).toMatch(/^Error: this user may not: create ServiceAccount /m);
      const { status, err } = await ask();
      expect(status).toBe(1);
      expect(err).toMatch(/patch DaemonSet kube-system\/wireguard-ts/);
      expect(versions(server)).toBe(before);
    });
  });

  describe('beside the operator on EKS', () => {
    beforeAll(async () => {
      server.ask(['delete', 'daemonset', '-n', 'kube-system', 'calico-node']);
      server.ask(['delete', KINDS, '-n', 'kube-system', OWN]);
      await plane.apply(
        calicoNode('calico-system', [
          { name: 'DATASTORE_TYPE', value: 'kubernetes' },
          { name: 'FELIX_ROUTESOURCE', value: 'WorkloadIPs' },
          { name: 'FELIX_INTERFACEPREFIX', value: 'eni' },
          { name: 'FELIX_WIREGUARDHOSTENCRYPTIONENABLED', value: 'true' },
        ]),
        {
          apiVersion: 'operator.tigera.io/v1',
          kind: 'Installation',
          metadata: { name: 'default' },
          spec: { cni: { type: 'AmazonVPC' }, kubernetesProvider: 'EKS' },
        },
      );
    });

    test('it installs what deploy/eks-aws-cni contains', async () => {
      const { status, err } = await wgts('install', '--apply');
      expect(status, err).toBe(0);
      expect(err).toMatch(/^Calico: by the Tigera operator, CNI AmazonVPC, on EKS, in calico-system$/m);
      expect(err).toMatch(/^Installation: eks-aws-cni, into calico-system$/m);
      const live = await agentSet(plane, 'calico-system');
      const dry = ['apply', '--server-side', '--dry-run=server', '--force-conflicts', '-o', 'json'];
      const theirs = server.ask([...dry, '-k', join(REPOSITORY, 'deploy/eks-aws-cni')]);
      const { items } = JSON.parse(theirs) as { items: (typeof live & { kind: string; metadata: { name: string } })[] };
      const same = items.find(({ kind, metadata }) => kind === 'DaemonSet' && metadata.name === 'wireguard-ts')!;
      expect(live.spec).toEqual(same.spec);
    });
  });

  test('--offline builds the same as kubectl from the manifests of this clone, without a cluster', () => {
    const args = ['calico', 'install', '--offline', '--for', 'openshift'];
    const { status, out, err } = runProgram('wgts', args, { env: { KUBECONFIG: '/nowhere' } });
    expect(status, err).toBe(0);
    const theirs = loadAllYaml(server.ask(['kustomize', join(REPOSITORY, 'deploy/openshift')]));
    const names = (objects: { kind: string; metadata: { name: string } }[]) =>
      objects.map(({ kind, metadata }) => `${kind} ${metadata.name}`).sort();
    expect(names(loadAllYaml(out))).toEqual(names(theirs));
  });
});

/** The names in the order of installation. */
function ownKinds(): string[] {
  return [
    'ServiceAccount kube-system/wireguard-ts',
    'ServiceAccount kube-system/wireguard-ts-labeller',
    'ClusterRole wireguard-ts',
    'ClusterRole wireguard-ts-labeller',
    'ClusterRoleBinding wireguard-ts',
    'ClusterRoleBinding wireguard-ts-labeller',
    'Role default/wireguard-ts-events',
    'RoleBinding default/wireguard-ts-events',
    'ValidatingAdmissionPolicy wireguard-ts-own-node-only',
    'ValidatingAdmissionPolicyBinding wireguard-ts-own-node-only',
    'DaemonSet kube-system/wireguard-ts',
    'DaemonSet kube-system/wireguard-ts-labeller',
  ];
}
