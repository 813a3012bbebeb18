/**
 * Applies the manifests to a real API server: all are accepted, and the service accounts have
 * exactly the agent's permissions.
 */
import { readdirSync } from 'node:fs';
import { join } from 'node:path';
import { loadAllYaml } from '@kubernetes/client-node';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { REPOSITORY } from '../support/guide.ts';
import { Administrator } from './administrator.ts';
import { calicoCrds } from './calico-crds.ts';
import { type ControlPlane, describeCluster, startControlPlane } from './control-plane.ts';
import { KUBECTL_LIMIT_MS } from './kubectl.ts';
import { OTHER_CRDS } from './other-crds.ts';
import { withOverlay } from './overlay.ts';

const DEPLOY = join(REPOSITORY, 'deploy');
const COMPONENTS = readdirSync(join(DEPLOY, 'components'));
const INSTALLATIONS = ['manifest-install', 'operator-install', 'eks-aws-cni', 'aks-azure-cni', 'openshift'];
const FOLDERS = [...INSTALLATIONS, 'examples/mixed-cluster'].map(name => [name, [] as string[]] as const);
const COMBINED = COMPONENTS.map(each => ['manifest-install', [each]] as const);
/** All components that do not exclude each other. */
const EVERYTHING = ['operator-install', COMPONENTS.filter(name => !['privileged', 'selinux'].includes(name))] as const;

interface Resource {
  readonly kind: string;
  readonly metadata: { readonly name: string; readonly namespace?: string };
  readonly rules?: readonly Readonly<Record<'apiGroups' | 'resources' | 'verbs', readonly string[]>>[];
  readonly spec?: {
    readonly updateStrategy: object;
    readonly template: { readonly metadata: object; readonly spec: PodSpec };
  };
}
interface PodSpec {
  readonly containers: readonly Container[];
  readonly initContainers?: readonly Container[];
  readonly volumes?: readonly { readonly hostPath: { readonly path: string } }[];
  readonly [field: string]: unknown;
}
interface Container {
  readonly ports?: readonly object[];
  readonly startupProbe?: object;
  readonly args?: readonly string[];
  readonly securityContext: { readonly capabilities: { readonly add?: readonly string[] } };
}

let plane: ControlPlane;
let server: Administrator;
describeCluster('the manifests on a real API server', () => {
  beforeAll(async () => {
    plane = await startControlPlane();
    server = await Administrator.of(plane);
    await plane.apply(...calicoCrds('crd.projectcalico.org/v1'));
    await plane.apply(...calicoCrds('projectcalico.org/v3'));
    await plane.apply(...OTHER_CRDS);
    server.ask(['create', 'namespace', 'calico-system']);
    server.ask(['label', 'namespace', 'calico-system', 'pod-security.kubernetes.io/enforce=privileged']);
  }, KUBECTL_LIMIT_MS);
  afterAll(async () => {
    await plane?.stop();
  });

  describe.each([...FOLDERS, ...COMBINED, EVERYTHING])('%s %s', (installation, components) => {
    test('is accepted by the API server, with every field', () => {
      const rendered = JSON.stringify({ apiVersion: 'v1', kind: 'List', items: render(installation, components) });
      const { status, err } = server.kubectl(['apply', '--dry-run=server', '--validate=strict', '-f', '-'], {
        input: rendered,
      });
      expect({ status, err }).toEqual({ status: 0, err: '' });
    });

    test('requests no more than the guide lists', () => {
      const resources = render(installation, components);
      const sets = resources.filter(({ kind }) => kind === 'DaemonSet');
      expect(sets.map(({ metadata }) => metadata.name)).toEqual(['wireguard-ts', 'wireguard-ts-labeller']);
      const namespace = /^(manifest|examples)/.test(installation) ? 'kube-system' : 'calico-system';
      for (const { kind, metadata } of resources)
        if (['DaemonSet', 'ServiceAccount'].includes(kind)) expect(metadata.namespace).toBe(namespace);
      for (const { spec } of sets) {
        const pod = spec!.template.spec;
        expect(pod).toMatchObject({
          hostNetwork: true,
          priorityClassName: 'system-node-critical',
          tolerations: [{ operator: 'Exists' }],
          securityContext: { seccompProfile: { type: 'RuntimeDefault' } },
        });
        expect(pod).not.toHaveProperty('hostPID');
        const containers = [...pod.containers, ...(pod.initContainers ?? [])];
        if (components.includes('privileged')) continue;
        for (const { securityContext } of containers) {
          expect(securityContext).toMatchObject({
            privileged: false,
            allowPrivilegeEscalation: false,
            readOnlyRootFilesystem: true,
            capabilities: { drop: ['ALL'] },
          });
          expect(securityContext.capabilities.add ?? []).toEqual(
            'runAsNonRoot' in securityContext ? [] : ['NET_ADMIN'],
          );
        }
      }
      const [agent] = sets.map(({ spec }) => spec!.template.spec);
      const hostEncryption = components.includes('host-encryption') || /^(eks|aks)/.test(installation);
      expect(agent!.volumes!.map(({ hostPath }) => hostPath.path).sort()).toEqual(
        [
          '/dev/net/tun',
          '/var/lib/wireguard-ts',
          '/var/run/wireguard',
          ...(hostEncryption ? ['/proc/sys/net'] : []),
        ].sort(),
      );
      // Everywhere except on nodes that `wgts doctor --label` marks as Felix's.
      const terms = [
        { matchExpressions: [{ key: 'wireguard-ts.io/kernel-module', operator: 'NotIn', values: ['present'] }] },
      ];
      expect(agent!['affinity']).toEqual({
        nodeAffinity: { requiredDuringSchedulingIgnoredDuringExecution: { nodeSelectorTerms: terms } },
      });
      for (const option of ['always', 'fail-closed', 'allocate'])
        expect(agent!.containers[0]!.args!.includes(`--${option}`)).toBe(components.includes(option));
    });

    test('lets each agent change its own Node only, from Kubernetes 1.30 on', () => {
      const policies = render(installation, components).filter(({ kind }) => kind.startsWith('ValidatingAdmission'));
      const kinds = ['ValidatingAdmissionPolicy', 'ValidatingAdmissionPolicyBinding'];
      expect(policies.map(({ kind }) => kind)).toEqual(components.includes('before-1.30') ? [] : kinds);
    });

    test('starts the new agent beside the old one, and tells their probes apart', () => {
      const { spec } = render(installation, components).find(({ kind }) => kind === 'DaemonSet')!;
      expect(spec!.updateStrategy).toEqual({
        type: 'RollingUpdate',
        rollingUpdate: { maxSurge: 1, maxUnavailable: 0 },
      });
      const { containers, initContainers = [] } = spec!.template.spec;
      // With hostNetwork every port is a hostPort, for which the scheduler refuses the second pod.
      expect([...containers, ...initContainers].flatMap(({ ports = [] }) => ports)).toEqual([]);
      const command = ['/usr/bin/wgts', 'calico', '--startup-probe'];
      expect(containers[0]!.startupProbe).toMatchObject({ exec: { command } });
    });

    test('grants the agent exactly the permissions that it needs', () => {
      const roles = render(installation, components).filter(({ kind }) => /Role$/.test(kind));
      const rights = (name: string) =>
        roles
          .filter(({ metadata }) => metadata.name === name)
          .flatMap(({ rules }) => rules!)
          .flatMap(rule =>
            rule.apiGroups.flatMap(group =>
              rule.resources.flatMap(resource => rule.verbs.map(verb => `${verb} ${resource} ${group}`)),
            ),
          )
          .sort();
      const calico = (verbs: readonly string[], ...kinds: readonly string[]) =>
        ['crd.projectcalico.org', 'projectcalico.org'].flatMap(group =>
          kinds.flatMap(kind => verbs.map(verb => `${verb} ${kind} ${group}`)),
        );
      expect(rights('wireguard-ts')).toEqual(
        [
          ...['get nodes ', 'list nodes ', 'watch nodes ', 'patch nodes/status '],
          ...calico(['get', 'list', 'watch'], 'clusterinformations', 'felixconfigurations', 'ippools', 'ipamblocks'),
          ...(components.includes('workload-ips') || /^(eks|aks)/.test(installation)
            ? ['list pods ', 'watch pods ']
            : []),
          ...(components.includes('allocate')
            ? [
                ...calico(['create', 'update', 'delete'], 'ipamblocks'),
                ...calico(['get', 'list', 'create', 'update', 'delete'], 'ipamhandles', 'blockaffinities'),
                ...calico(['get', 'list'], 'ipamconfigs', 'ipamconfigurations', 'ipreservations'),
              ]
            : []),
        ].sort(),
      );
      expect(rights('wireguard-ts-events')).toEqual(['create events ', 'get events ', 'patch events ']);
      expect(rights('wireguard-ts-labeller')).toEqual(['get nodes ', 'patch nodes ']);
    });
  });

  test('Pods of both DaemonSets are admitted', () => {
    server.ask(['apply', '-k', join(DEPLOY, 'operator-install')]);
    for (const { metadata, spec } of render('operator-install', []).filter(({ kind }) => kind === 'DaemonSet')) {
      const { status, err } = server.kubectl(['create', '--dry-run=server', '-f', '-'], {
        input: JSON.stringify({
          apiVersion: 'v1',
          kind: 'Pod',
          metadata: { ...spec!.template.metadata, name: metadata.name, namespace: 'calico-system' },
          spec: spec!.template.spec,
        }),
      });
      expect({ status, err }).toEqual({ status: 0, err: '' });
    }
  });
});

function render(installation: string, components: readonly string[]): Resource[] {
  const text = withOverlay(installation, components, folder => server.ask(['kustomize', folder]));
  return loadAllYaml(text) as unknown as Resource[];
}
