/**
 * The cluster as the agent reads it: the parts of Nodes and Calico objects that affect the tunnel,
 * validated and in binary form. Objects are immutable: a change replaces the object, so results may
 * be cached by its identity.
 *
 * Invalid values are left out: each becomes a Problem (problem.ts), and the rest of the object
 * applies as if the value were absent.
 */
import type { Family } from '../../base/family.ts';
import type { Prefix } from '../../base/prefix.ts';

/**
 * One value for each IP version that has one, by the number of the version: `{ 4: ..., 6: ... }`.
 */
export type PerFamily<T> = { readonly [family in Family]?: T };

/**
 * The objects of a cluster that a plan is made from. An object is never changed: a new one takes
 * its place, so a planner may remember results by an object's identity.
 */
export interface Cluster {
  /** By name. */
  readonly nodes: ReadonlyMap<string, ClusterNode>;
  /**
   * By name: `default`, `node.<nodename>`, or any other name with a node selector (Felix 3.32 and
   * newer).
   */
  readonly felixConfigurations: ReadonlyMap<string, FelixConfiguration>;
  /** By name. */
  readonly ipPools: ReadonlyMap<string, IpPool>;
  /** By name, such as `10-0-0-0-26`. */
  readonly ipamBlocks: ReadonlyMap<string, IpamBlock>;
  /**
   * By `namespace/name`. Empty unless the plan reads addresses from Pods (route source
   * WorkloadIPs).
   */
  readonly pods: ReadonlyMap<string, Pod>;
}

/**
 * A Kubernetes Node with Calico's annotations (docs/reference/calico-felix.md#node-annotations,
 * #nodes-read).
 */
export interface ClusterNode {
  /** The Node's name in Kubernetes. */
  readonly name: string;
  /** The Node's UID in Kubernetes. */
  readonly uid?: string;
  /** The labels of Kubernetes, and those set by calicoctl that have no namesake among them. */
  readonly labels: Readonly<Record<string, string>>;
  /**
   * The addresses in `projectcalico.org/IPv4Address` and `IPv6Address`, without their prefix
   * length: 4 or 16 bytes.
   */
  readonly bgpAddress: PerFamily<Uint8Array>;
  /**
   * The prefix lengths of {@link ClusterNode.bgpAddress}. An address that was written without a
   * length belongs to the node, but is not an endpoint (Felix, calc/dataplane_passthru.go): its
   * family is absent here. The field is absent where no length is known.
   */
  readonly bgpLength?: PerFamily<number>;
  /** `status.addresses` of type InternalIP and ExternalIP, in their order. */
  readonly addresses: readonly NodeAddress[];
  /** The published public keys as text, unchecked: each may be anything. Absent where empty. */
  readonly publicKey: PerFamily<string>;
  /** The address of the WireGuard device, from the annotations: 4 or 16 bytes. */
  readonly wireguardAddress: PerFamily<Uint8Array>;
  /** The address of the IPIP tunnel, from the annotations. */
  readonly ipipAddress: PerFamily<Uint8Array>;
  /** The addresses of the VXLAN tunnels, from the annotations. */
  readonly vxlanAddress: PerFamily<Uint8Array>;
  /** `spec.podCIDRs`, or `spec.podCIDR` alone. */
  readonly podCidrs: readonly Prefix[];
  /**
   * The address in `spec.podCIDR`, with its host bits. Absent if it equals the first of
   * `podCidrs`, or if the Node has no podCIDR.
   */
  readonly podCidrAddress?: Uint8Array;
  /** The `projectcalico.org/` annotations that the agent rewrites, as text. */
  readonly annotations: Readonly<Record<string, string>>;
}

/** One entry of a Node's `status.addresses`. */
export interface NodeAddress {
  /** The type in Kubernetes. */
  readonly type: 'InternalIP' | 'ExternalIP';
  /** 4 or 16 bytes. */
  readonly address: Uint8Array;
}

/**
 * The settings of one FelixConfiguration: its spec and its `config.projectcalico.org/` annotations,
 * joined.
 */
export interface FelixConfiguration {
  /** `default`, `node.<nodename>`, or the name of a selector-scoped one. */
  readonly name: string;
  /** RFC 3339. Of several selector-scoped ones that match a node, the oldest applies. */
  readonly creationTimestamp?: string;
  /** Present on a selector-scoped one only. */
  readonly nodeSelector?: string;
  /**
   * By Felix's parameter names in lower case (`wireguardenabled`). Values are text, as an
   * environment variable would have them, with durations in seconds. Nothing is validated yet.
   */
  readonly parameters: ReadonlyMap<string, string>;
}

/** A Calico IPPool (docs/reference/calico-felix.md#ipam-objects). */
export interface IpPool {
  /** The pool's name. */
  readonly name: string;
  /** The addresses of the pool. */
  readonly cidr: Prefix;
  /** Prefix length of the pool's blocks. */
  readonly blockSize: number;
  /** True where no new blocks are taken from the pool. */
  readonly disabled: boolean;
  /** True where the pool is being deleted. */
  readonly terminating: boolean;
  /** A Calico selector; `all()` where the pool has none. */
  readonly nodeSelector: string;
  /** `Workload`, `Tunnel` and so on; empty allows every use. */
  readonly allowedUses: readonly string[];
}

/** A Calico IPAMBlock (docs/reference/calico-felix.md#ipam-objects). */
export interface IpamBlock {
  /** The block's name, such as `10-0-0-0-26`. */
  readonly name: string;
  /** The addresses of the block. */
  readonly cidr: Prefix;
  /**
   * The node of a `host:<node>` affinity, or the name of a `virtual:<name>` one. Absent where the
   * block has no owner.
   */
  readonly owner?: string;
  /**
   * Every address that is allocated to a node (attribute `node`), of this block's owner or of
   * another node.
   */
  readonly allocations: readonly Allocation[];
}

/** One address of an {@link IpamBlock} that is in use. */
export interface Allocation {
  /** 4 or 16 bytes. */
  readonly address: Uint8Array;
  /** The node that uses the address. */
  readonly node: string;
  /** Calico's handle of the allocation. */
  readonly handleId?: string;
  /** `wireguardTunnelAddress`, `vxlanTunnelAddress` and the like; absent for a workload. */
  readonly type?: string;
}

/**
 * A pod with its own network and addresses that is scheduled and not finished
 * (docs/reference/calico-felix.md#prefix-owners).
 */
export interface Pod {
  /** The pod's namespace. */
  readonly namespace: string;
  /** The pod's name. */
  readonly name: string;
  /** The node that it is scheduled on. */
  readonly node: string;
  /** 4 or 16 bytes each. */
  readonly addresses: readonly Uint8Array[];
}

/** A cluster without objects, to spread the maps of a real one over. */
export const EMPTY_CLUSTER: Cluster = {
  nodes: new Map(),
  felixConfigurations: new Map(),
  ipPools: new Map(),
  ipamBlocks: new Map(),
  pods: new Map(),
};
