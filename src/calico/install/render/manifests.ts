/**
 * The objects of an installation: a folder of deploy/ with components, an image, and calico-node's
 * variables.
 */
import { field, hasFields, listField, type Resource, textField } from '../../model/resource.ts';
import { PARAMETER_NAMES } from '../../plan/config/parameters.ts';
import { AGENT, type EnvironmentEntry } from '../cluster/found.ts';
import { checkNamespace, inOrder } from '../cluster/kinds.ts';
import type { ImageChange } from './image.ts';
import type { DeployTree } from './kustomization.ts';
import { renderFolder, renderKustomization } from './kustomize.ts';

/** The installations, and their folders in deploy/. */
export const INSTALLATIONS = {
  manifest: 'manifest-install',
  operator: 'operator-install',
  'eks-aws-cni': 'eks-aws-cni',
  'aks-azure-cni': 'aks-azure-cni',
  openshift: 'openshift',
} as const;
export type Installation = keyof typeof INSTALLATIONS;
export const INSTALLATION_NAMES = Object.keys(INSTALLATIONS) as readonly Installation[];

/** The components that an operator may choose. */
export const COMPONENTS = [
  'always',
  'fail-closed',
  'allocate',
  'metrics',
  'workload-ips',
  'host-encryption',
  'selinux',
  'openshift',
  'privileged',
  'before-1.30',
] as const;
export type Component = (typeof COMPONENTS)[number];

export interface Choice {
  readonly installation: Installation;
  readonly components: readonly Component[];
  /** Components that fit, but that the operator does not want. */
  readonly left?: readonly Component[];
  readonly image?: ImageChange;
  /** Variables that the agent needs as calico-node has them. */
  readonly env: readonly EnvironmentEntry[];
}

const READ_VARIABLES = new Set(['use_pod_cidr', ...PARAMETER_NAMES.map(name => `felix_${name.toLowerCase()}`)]);

/** Builds the objects in the order in which they are installed. */
export function renderChoice(tree: DeployTree, { installation, components, image, env }: Choice): Resource[] {
  const objects = renderKustomization(tree, '', {
    resources: [INSTALLATIONS[installation]],
    components: components.map(name => `components/${name}`),
    ...(image && { images: [image] }),
  });
  for (const object of objects) checkNamespace(object);
  for (const { kind, metadata, spec } of objects)
    if (kind === 'DaemonSet' && metadata.name === AGENT) addEnvironment(field(spec, 'template', 'spec'), env);
  return inOrder(objects);
}

/**
 * Returns an object of each name and namespace that any choice installs. Other versions of this
 * program may have installed them too.
 */
export function everyObject(tree: DeployTree): Resource[] {
  const found = new Map<string, Resource>();
  for (const folder of Object.values(INSTALLATIONS))
    for (const object of renderFolder(tree, folder))
      found.set([object.kind, object.metadata.namespace, object.metadata.name].join(), object);
  return inOrder([...found.values()]);
}

/** Returns the components that a folder of deploy/ includes already. */
export function includedComponents(tree: DeployTree, folder: string): readonly string[] {
  const content = tree.value(tree.files[`${folder}/kustomization.yaml`] ?? '');
  const names = listField(content, 'components').map(path => String(path).split('/').at(-1)!);
  return names.flatMap(name => [name, ...includedComponents(tree, `components/${name}`)]);
}

/** Returns the variables of calico-node that the agent must have too. */
export function sharedVariables(env: readonly EnvironmentEntry[]): readonly EnvironmentEntry[] {
  return env.filter(
    ({ name, value, valueFrom }) =>
      READ_VARIABLES.has(name.toLowerCase()) && (value !== undefined || configMapEntry(valueFrom) !== undefined),
  );
}

/** The agent may read ConfigMaps of its namespace, but neither Secrets nor fields of other pods. */
function configMapEntry(valueFrom: unknown): unknown {
  return field(valueFrom, 'configMapKeyRef');
}

/** Adds variables to the agent's container. A plain value replaces another one. */
function addEnvironment(pod: unknown, env: readonly EnvironmentEntry[]): void {
  const own = field(listField(pod, 'containers')[0], 'env');
  if (!Array.isArray(own)) return;
  for (const { name, value, valueFrom } of env) {
    const index = own.findIndex(each => textField(each, 'name')?.toLowerCase() === name.toLowerCase());
    const old: unknown = own[index];
    if (value !== undefined) {
      if (index < 0) own.push({ name, value });
      else own[index] = { name: textField(old, 'name'), value };
    } else if (index < 0 && hasFields(valueFrom))
      own.push({ name, valueFrom: { configMapKeyRef: configMapEntry(valueFrom) } });
  }
}
