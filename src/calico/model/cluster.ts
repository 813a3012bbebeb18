/**
 * The cluster as the agent reads it: what of Nodes and Calico's objects bears on the tunnel, checked and in bytes. An object is never
 * changed: a new one takes its place, so that whoever computes from it may remember results by identity.
 *
 * What could not be understood is not in here: it is a Problem (problem.ts), and the rest of the object counts as if it were absent.
 */
import type { Prefix } from '../../base/prefix.ts';
import type { Family } from '../../netlink/family.ts';

/** One value for each IP version, where there is one. */
export type PerFamily<T> = { readonly [family in Family]?: T };

export interface Cluster {
  /** By name. */
  readonly nodes: ReadonlyMap<string, ClusterNode>;
  /** By name: `default`, `node.<nodename>`, or a selector's (Felix 3.32 and newer). */
  readonly felixConfigurations: ReadonlyMap<string, FelixConfiguration>;
  readonly ipPools: ReadonlyMap<string, IpPool>;
  readonly ipamBlocks: ReadonlyMap<string, IpamBlock>;
  /** By `namespace/name`. Only where somebody asked for them (WorkloadIPs): empty otherwise. */
  readonly pods: ReadonlyMap<string, Pod>;
}

/** A Kubernetes Node with Calico's annotations (docs/reference/calico-felix.md#node-annotations, #nodes-read). */
export interface ClusterNode {
  readonly name: string;
  readonly uid?: string;
  /** Kubernetes', and those of calicoctl that have no namesake among them. */
  readonly labels: Readonly<Record<string, string>>;
  /** `projectcalico.org/IPv4Address`, `IPv6Address`, without their prefix length. */
  readonly bgpAddress: PerFamily<Uint8Array>;
  /**
   * Their prefix lengths. An address of a family that is missing here is written without one: it is the node's, and no endpoint (Felix, calc/dataplane_passthru.go).
   * Absent altogether where it is not known.
   */
  readonly bgpLength?: PerFamily<number>;
  /** `status.addresses` of type InternalIP and ExternalIP, in their order. */
  readonly addresses: readonly NodeAddress[];
  /** As it is written there, which need not be a key. Absent where empty. */
  readonly publicKey: PerFamily<string>;
  /** Of the WireGuard device, from the annotations. */
  readonly wireguardAddress: PerFamily<Uint8Array>;
  readonly ipipAddress: PerFamily<Uint8Array>;
  readonly vxlanAddress: PerFamily<Uint8Array>;
  /** `spec.podCIDRs`, or `spec.podCIDR` alone. */
  readonly podCidrs: readonly Prefix[];
  /** The address in `spec.podCIDR`, with its host bits. Absent where there is none, and where it is that of the first of podCidrs. */
  readonly podCidrAddress?: Uint8Array;
  /** Annotation `projectcalico.org/WireguardPublicKey...` and the rest, for who rewrites them. */
  readonly annotations: Readonly<Record<string, string>>;
}

export interface NodeAddress {
  readonly type: 'InternalIP' | 'ExternalIP';
  readonly address: Uint8Array;
}

/** What one object says, by Felix's parameter names in lower case (`wireguardenabled`), spec and `config.projectcalico.org/` annotations joined. */
export interface FelixConfiguration {
  readonly name: string;
  /** RFC 3339; the oldest of several selector-scoped ones wins. */
  readonly creationTimestamp?: string;
  /** Only of a selector-scoped one. */
  readonly nodeSelector?: string;
  /** Values as text, as an environment variable would say them; durations in seconds. Nothing is validated yet. */
  readonly parameters: ReadonlyMap<string, string>;
}

export interface IpPool {
  readonly name: string;
  readonly cidr: Prefix;
  /** Length of a block's prefix. */
  readonly blockSize: number;
  readonly disabled: boolean;
  readonly terminating: boolean;
  /** `all()` where none is said. */
  readonly nodeSelector: string;
  /** Empty: all uses. */
  readonly allowedUses: readonly string[];
}

/** docs/reference/calico-felix.md#ipam-objects. */
export interface IpamBlock {
  readonly name: string;
  readonly cidr: Prefix;
  /** The node of `host:<node>`, or `virtual:<name>`'s name; absent where nobody has it. */
  readonly owner?: string;
  /** Each address that is allocated to a node (attribute `node`), whether the block is that node's or not. */
  readonly allocations: readonly Allocation[];
}

export interface Allocation {
  readonly address: Uint8Array;
  readonly node: string;
  readonly handleId?: string;
  /** `wireguardTunnelAddress` and the like; absent for a workload. */
  readonly type?: string;
}

/** A pod that counts: scheduled, with its own network and addresses, not finished (docs/reference/calico-felix.md#prefix-owners). */
export interface Pod {
  readonly namespace: string;
  readonly name: string;
  readonly node: string;
  readonly addresses: readonly Uint8Array[];
}

export const EMPTY_CLUSTER: Cluster = {
  nodes: new Map(),
  felixConfigurations: new Map(),
  ipPools: new Map(),
  ipamBlocks: new Map(),
  pods: new Map(),
};
