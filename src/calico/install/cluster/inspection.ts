/**
 * Reads from a cluster what `wgts calico install` must know. A missing permission, or an aggregated
 * API server that does not answer, ends nothing: the result names what could not be read.
 */
import { field, hasFields, listField, textField } from '../../model/resource.ts';
import { tagOf } from '../render/image.ts';
import { type ClusterApi, codeOf, find, list } from './api.ts';
import {
  AGENT,
  type CalicoNode,
  type EnvironmentEntry,
  type Found,
  type InstalledAgent,
  KERNEL_MODULE_LABEL,
  type KubernetesVersion,
  NAMESPACES,
  OWN_LABEL,
} from './found.ts';

const CALICO_GROUPS = ['projectcalico.org/v3', 'crd.projectcalico.org/v1'] as const;
const ADMISSION = '/apis/admissionregistration.k8s.io/v1';
const UNREADABLE = ['EACCES', 'EAGAIN'];
const HELM_RELEASE = 'meta.helm.sh/release-name';

/** Reads the cluster. @throws Error if the server does not answer */
export async function inspectCluster(api: ClusterApi): Promise<Found> {
  const unread = new Map<string, string>();
  const attempt = async <T>(what: string, instead: T, read: () => Promise<T>): Promise<T> => {
    try {
      return await read();
    } catch (error) {
      if (!UNREADABLE.includes(codeOf(error))) throw error;
      unread.set(what, (error as Error).message);
      return instead;
    }
  };
  // First: it needs no permission, so an error here says that the server cannot be reached.
  const version = versionOf(await api.send({ method: 'GET', path: '/version' }));
  const groups = await attempt('the API groups', undefined, () => find(api, '/apis'));
  const names = listField(groups, 'groups').map(group => textField(group, 'name'));
  const policies = await attempt('the kinds of admission', undefined, () => find(api, ADMISSION));
  const operator = await attempt('Installation default', undefined, () =>
    find(api, '/apis/operator.tigera.io/v1/installations/default'),
  );
  const calicoNodes = await attempt('DaemonSets', [], () =>
    list(api, '/apis/apps/v1/daemonsets', { labelSelector: 'k8s-app=calico-node' }),
  );
  const agents = await attempt('DaemonSets', [], () =>
    list(api, '/apis/apps/v1/daemonsets', { labelSelector: OWN_LABEL }),
  );
  const felix = await attempt('FelixConfiguration default', undefined, () => defaultConfiguration(api, names));
  const nodes = await attempt('Nodes', [], () => list(api, '/api/v1/nodes', { metadataOnly: true }));
  const namespaces: string[] = [];
  for (const name of Object.values(NAMESPACES)) {
    const isThere = await attempt(`Namespace ${name}`, true, async () =>
      Boolean(await find(api, `/api/v1/namespaces/${name}`)),
    );
    if (isThere) namespaces.push(name);
  }
  return {
    ...(version && { version }),
    hasPolicies: listField(policies, 'resources').some(
      each => textField(each, 'name') === 'validatingadmissionpolicies',
    ),
    isOpenShift: names.includes('config.openshift.io'),
    hasCalicoKinds: CALICO_GROUPS.some(group => names.includes(group.split('/')[0])),
    ...(operator !== undefined && { operator: operatorOf(operator) }),
    calicoNodes: calicoNodes.map(calicoNodeOf),
    ...(felix !== undefined && { felix: field(felix, 'spec') ?? {} }),
    nodes: countNodes(nodes),
    agents: agents.filter(each => textField(each, 'metadata', 'name') === AGENT).map(agentOf),
    namespaces,
    unread,
  };
}

/** Reads from the group that has the object: Calico's API server may be away, and its CRDs not. */
async function defaultConfiguration(api: ClusterApi, groups: readonly (string | undefined)[]): Promise<unknown> {
  let failure: unknown;
  for (const group of CALICO_GROUPS) {
    if (!groups.includes(group.split('/')[0])) continue;
    try {
      const found = await find(api, `/apis/${group}/felixconfigurations/default`);
      if (found !== undefined) return found;
    } catch (error) {
      failure ??= error;
    }
  }
  if (failure !== undefined) throw failure;
  return undefined;
}

function versionOf(answer: unknown): KubernetesVersion | undefined {
  const text = textField(answer, 'gitVersion') ?? '';
  const [, major, minor] = /^v?([0-9]{1,4})\.([0-9]{1,4})/.exec(text) ?? [];
  return major === undefined ? undefined : { major: Number(major), minor: Number(minor), text };
}

/** Reads the computed values, which include the defaults; the spec, before the operator has run. */
function operatorOf(installation: unknown): NonNullable<Found['operator']> {
  const read = (...path: string[]): string =>
    textField(installation, 'status', 'computed', ...path) ?? textField(installation, 'spec', ...path) ?? '';
  return {
    cni: read('cni', 'type'),
    provider: read('kubernetesProvider'),
    dataPlane: read('calicoNetwork', 'linuxDataplane'),
  };
}

function calicoNodeOf(daemonSet: unknown): CalicoNode {
  const containers = listField(daemonSet, 'spec', 'template', 'spec', 'containers');
  const node = containers.find(each => textField(each, 'name') === 'calico-node') ?? containers[0];
  return {
    namespace: textField(daemonSet, 'metadata', 'namespace') ?? '',
    env: listField(node, 'env').filter(isEntry),
  };
}

function isEntry(entry: unknown): entry is EnvironmentEntry {
  return textField(entry, 'name') !== undefined && ['undefined', 'string'].includes(typeof field(entry, 'value'));
}

function agentOf(daemonSet: unknown): InstalledAgent {
  const image = textField(listField(daemonSet, 'spec', 'template', 'spec', 'containers')[0], 'image') ?? '';
  const annotations = field(daemonSet, 'metadata', 'annotations');
  const helmRelease = hasFields(annotations) ? textField(annotations, HELM_RELEASE) : undefined;
  return {
    namespace: textField(daemonSet, 'metadata', 'namespace') ?? '',
    version: tagOf(image) ?? '',
    ...(helmRelease !== undefined && { helmRelease }),
  };
}

function countNodes(nodes: readonly unknown[]): Found['nodes'] {
  const counts = { linux: 0, other: 0, withModule: 0 };
  for (const node of nodes) {
    const labels = field(node, 'metadata', 'labels');
    // The kubelet sets this label. A Node without it is very new.
    if ((textField(labels, 'kubernetes.io/os') ?? 'linux') !== 'linux') counts.other++;
    else counts.linux++;
    if (textField(labels, KERNEL_MODULE_LABEL) === 'present') counts.withModule++;
  }
  return counts;
}
