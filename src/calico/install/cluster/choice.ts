/** Chooses the installation and its components by what was found, and by what the operator says. */
import type { ImageChange } from '../render/image.ts';
import type { DeployTree } from '../render/kustomization.ts';
import {
  type Choice,
  type Component,
  INSTALLATIONS,
  type Installation,
  includedComponents,
  sharedVariables,
} from '../render/manifests.ts';
import { type CalicoNode, type Found, felixSetting, isOn, NAMESPACES } from './found.ts';

/** What the operator says. It takes precedence over what was found. */
export interface Wishes {
  readonly installation?: Installation;
  readonly components: readonly Component[];
  /** Components that stay out although they fit. */
  readonly without?: readonly Component[];
  readonly image?: ImageChange;
}

/**
 * Chooses what to install.
 * @returns undefined if the cluster has no Calico and the operator names no installation
 */
export function choose(found: Found, wishes: Wishes, tree: DeployTree): Choice | undefined {
  const installation = wishes.installation ?? installationFor(found);
  if (!installation) return undefined;
  const node = calicoNodeFor(found, installation);
  const env = sharedVariables(node?.env ?? []);
  const wanted = new Set<Component>(wishes.components);
  if (felixSetting(found, 'RouteSource')?.toLowerCase() === 'workloadips') wanted.add('workload-ips');
  if (isOn(found, 'WireguardHostEncryptionEnabled')) wanted.add('host-encryption');
  if (found.isOpenShift && namespaceOf(installation) === NAMESPACES.operator) wanted.add('openshift');
  if (!mayBindTokens(found)) wanted.add('before-1.30');
  const left = (wishes.without ?? []).filter(name => wanted.delete(name));
  // The component openshift includes selinux, and a folder may include others.
  if (wanted.has('openshift')) wanted.delete('selinux');
  for (const name of includedComponents(tree, INSTALLATIONS[installation])) wanted.delete(name as Component);
  return {
    installation,
    components: [...wanted].sort(),
    ...(left.length > 0 && { left: left.sort() }),
    ...(wishes.image && { image: wishes.image }),
    env,
  };
}

/** Returns the namespace of an installation. */
export function namespaceOf(installation: Installation): string {
  return installation === 'manifest' ? NAMESPACES.manifest : NAMESPACES.operator;
}

/** Returns whether tokens name the node of their pod, by which own-node-only decides. */
export function mayBindTokens({ version, hasPolicies }: Found): boolean {
  if (!version) return true;
  return hasPolicies && (version.major > 1 || version.minor >= 30);
}

function installationFor({ operator, isOpenShift, calicoNodes }: Found): Installation | undefined {
  if (operator || calicoNodes.some(({ namespace }) => namespace === NAMESPACES.operator)) {
    if (operator?.provider === 'EKS' && operator.cni === 'AmazonVPC') return 'eks-aws-cni';
    if (operator?.provider === 'AKS' && operator.cni === 'AzureVNET') return 'aks-azure-cni';
    return isOpenShift ? 'openshift' : 'operator';
  }
  return calicoNodes.length > 0 ? 'manifest' : undefined;
}

function calicoNodeFor({ calicoNodes }: Found, installation: Installation): CalicoNode | undefined {
  return calicoNodes.find(({ namespace }) => namespace === namespaceOf(installation)) ?? calicoNodes[0];
}
