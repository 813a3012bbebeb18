/** Installations and combinations of components that tests render in several ways. */
import { COMPONENTS, INSTALLATION_NAMES, type Installation } from '../../src/calico/install/render/manifests.ts';

export interface Combination {
  readonly installation: Installation;
  readonly components: readonly string[];
}

/** Each installation alone, each component alone, and some that meet in the same fields. */
export const COMBINATIONS: readonly Combination[] = [
  ...INSTALLATION_NAMES.map(installation => ({ installation, components: [] })),
  ...COMPONENTS.map(name => ({ installation: 'manifest' as const, components: [name] })),
  ...[
    ['fail-closed', 'metrics'],
    ['metrics', 'always', 'allocate', 'before-1.30'],
    ['privileged', 'selinux'],
    ['host-encryption', 'metrics', 'workload-ips'],
  ].map(components => ({ installation: 'manifest' as const, components })),
  { installation: 'operator', components: ['always', 'fail-closed', 'allocate', 'metrics', 'openshift'] },
  { installation: 'operator', components: ['workload-ips', 'host-encryption', 'privileged', 'before-1.30'] },
  { installation: 'eks-aws-cni', components: ['fail-closed', 'metrics', 'selinux'] },
  { installation: 'aks-azure-cni', components: ['metrics', 'privileged', 'always'] },
  { installation: 'openshift', components: ['fail-closed', 'before-1.30', 'allocate'] },
];
