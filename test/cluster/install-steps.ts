/** What the tests of `wgts calico install` share: a cluster with Calico, and the program. */
import { type Ran, runProgramAsync } from '../cli/run-wgts.ts';
import type { Administrator } from './administrator.ts';
import { calicoCrds } from './calico-crds.ts';
import type { ControlPlane, Manifest } from './control-plane.ts';
import { OTHER_CRDS } from './other-crds.ts';

export const OWN = '-l=app.kubernetes.io/name=wireguard-ts';
/** Every kind that deploy/ installs. */
export const KINDS =
  'serviceaccounts,clusterroles,clusterrolebindings,roles,rolebindings,validatingadmissionpolicies,validatingadmissionpolicybindings,daemonsets';

/** Runs `wgts calico ...` as the user of this kubeconfig. */
export function wgtsCalico(kubeconfig: string, ...args: readonly string[]): Promise<Ran> {
  return runProgramAsync('wgts', ['calico', ...args, '--kubeconfig', kubeconfig]);
}

/** Adds Calico's kinds, two nodes, and calico-node as calico.yaml has it. */
export async function addCalico(plane: ControlPlane): Promise<void> {
  await plane.apply(...calicoCrds('crd.projectcalico.org/v1'), ...OTHER_CRDS);
  for (const name of ['worker-1', 'worker-2'])
    await plane.apply({ apiVersion: 'v1', kind: 'Node', metadata: { name, labels: { 'kubernetes.io/os': 'linux' } } });
  await plane.apply(
    calicoNode('kube-system', [
      { name: 'DATASTORE_TYPE', value: 'kubernetes' },
      { name: 'FELIX_IPV6SUPPORT', value: 'true' },
      { name: 'FELIX_INTERFACEPREFIX', value: 'veth' },
      { name: 'FELIX_LOGSEVERITYSCREEN', value: 'info' },
      { name: 'FELIX_WIREGUARDMTU', valueFrom: { configMapKeyRef: { name: 'calico-config', key: 'veth_mtu' } } },
    ]),
  );
}

export function calicoNode(namespace: string, env: readonly object[]): Manifest {
  const labels = { 'k8s-app': 'calico-node' };
  const pod = { containers: [{ name: 'calico-node', image: 'calico/node', env }] };
  return {
    apiVersion: 'apps/v1',
    kind: 'DaemonSet',
    metadata: { name: 'calico-node', namespace, labels },
    spec: { selector: { matchLabels: labels }, template: { metadata: { labels }, spec: pod } },
  };
}

/** Returns the names of all objects that have our label, or that have our name. */
export function ownObjects(server: Administrator): string[] {
  const text = server.ask(['get', KINDS, '-A', '-o', 'name']);
  return text.split('\n').filter(line => line.includes('wireguard-ts'));
}

/** Returns the resourceVersions of all our objects, which any change would raise. */
export function versions(server: Administrator): string {
  return server.ask([
    'get',
    KINDS,
    '-A',
    OWN,
    '-o',
    'jsonpath={range .items[*]}{.kind} {.metadata.name} {.metadata.resourceVersion}{"\\n"}{end}',
  ]);
}

/** The agent's DaemonSet, as the tests look at it. */
export interface AgentSet {
  readonly metadata: { readonly generation: number; readonly annotations?: object; readonly managedFields: unknown };
  readonly spec: {
    readonly updateStrategy: object;
    readonly template: { readonly spec: { readonly containers: Container[]; readonly initContainers?: Container[] } };
  };
}

interface Container {
  readonly name: string;
  readonly image: string;
  readonly args?: readonly string[];
  readonly env?: readonly { readonly name: string; readonly value?: string; readonly valueFrom?: object }[];
}

export async function agentSet(plane: ControlPlane, namespace = 'kube-system'): Promise<AgentSet> {
  return (await plane.api('GET', `/apis/apps/v1/namespaces/${namespace}/daemonsets/wireguard-ts`)) as AgentSet;
}
