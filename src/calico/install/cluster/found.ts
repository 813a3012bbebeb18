/** What `wgts calico install` finds in a cluster. Later steps decide by this alone. */
import { boolean } from '../../plan/config/values.ts';

export interface Found {
  /** Absent if the cluster was not read. */
  readonly version?: KubernetesVersion;
  /** Whether the server has ValidatingAdmissionPolicies. */
  readonly hasPolicies: boolean;
  readonly isOpenShift: boolean;
  /** Whether the server has one of Calico's API groups. */
  readonly hasCalicoKinds: boolean;
  /** The Tigera operator's Installation, if there is one. */
  readonly operator?: OperatorInstallation;
  /** The DaemonSets of calico-node. */
  readonly calicoNodes: readonly CalicoNode[];
  /** The spec of FelixConfiguration `default`, if the cluster has one. */
  readonly felix?: unknown;
  readonly nodes: NodeCounts;
  /** The agents that are installed already. */
  readonly agents: readonly InstalledAgent[];
  /** The namespaces that exist, of those in which the agent may be installed. */
  readonly namespaces: readonly string[];
  /** What could not be read, and why: no permission, or no answer of an aggregated API server. */
  readonly unread: ReadonlyMap<string, string>;
}

export interface KubernetesVersion {
  readonly major: number;
  readonly minor: number;
  readonly text: string;
}

interface OperatorInstallation {
  /** Such as Calico, AmazonVPC or AzureVNET. */
  readonly cni: string;
  /** Such as EKS, AKS or OpenShift; empty on premises. */
  readonly provider: string;
  /** Such as Iptables, Nftables or BPF. */
  readonly dataPlane: string;
}

export interface CalicoNode {
  readonly namespace: string;
  /** The environment of calico-node: name, and value or valueFrom. */
  readonly env: readonly EnvironmentEntry[];
}

export interface EnvironmentEntry {
  readonly name: string;
  readonly value?: string;
  readonly valueFrom?: unknown;
}

interface NodeCounts {
  readonly linux: number;
  readonly other: number;
  /** Linux nodes whose kernel has WireGuard, by the labeller. */
  readonly withModule: number;
}

export interface InstalledAgent {
  readonly namespace: string;
  /** The tag of its image; empty if it has none. */
  readonly version: string;
  /** The release of Helm that it belongs to. */
  readonly helmRelease?: string;
}

/** The cluster before anything is read, and with --offline. */
export const NOTHING_FOUND: Found = {
  hasPolicies: true,
  isOpenShift: false,
  hasCalicoKinds: true,
  calicoNodes: [],
  nodes: { linux: 0, other: 0, withModule: 0 },
  agents: [],
  namespaces: [],
  unread: new Map(),
};

/** Label of the DaemonSets and their pods. */
export const OWN_LABEL = 'app.kubernetes.io/name=wireguard-ts';
export const KERNEL_MODULE_LABEL = 'wireguard-ts.io/kernel-module';
export const AGENT = 'wireguard-ts';
export const LABELLER = 'wireguard-ts-labeller';
export const NAMESPACES = { manifest: 'kube-system', operator: 'calico-system' } as const;

/**
 * Returns a setting of Felix: calico-node's variable, or the FelixConfiguration's field.
 * @param name Felix's name of the parameter, such as WireguardEnabled
 */
export function felixSetting({ calicoNodes, felix }: Found, name: string): string | undefined {
  const variable = `felix_${name}`.toLowerCase();
  for (const { env } of calicoNodes) {
    const value = env.find(entry => entry.name.toLowerCase() === variable)?.value;
    if (value !== undefined) return value;
  }
  const [, value] = Object.entries(felix ?? {}).find(([field]) => field.toLowerCase() === name.toLowerCase()) ?? [];
  return ['string', 'boolean', 'number'].includes(typeof value) ? String(value) : undefined;
}

/** Returns whether a setting of Felix is on, by the words that Felix accepts. */
export function isOn(found: Found, name: string): boolean {
  return boolean(felixSetting(found, name) ?? '')?.value === true;
}
