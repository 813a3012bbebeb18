/**
 * The cluster as the agent reads it: the parts of Nodes and Calico objects that affect the tunnel,
 * validated and in binary form. Objects are immutable. A change replaces the object, so results may
 * be cached by the object's identity.
 *
 * An invalid value is omitted and reported as a Problem (problem.ts). The rest of the object
 * applies as if the value were absent.
 */
import type { Family } from '../../base/family.ts';
import type { Prefix } from '../../base/prefix.ts';

/** Values by IP version: `{ 4: ..., 6: ... }`. A version without a value is absent. */
export type PerFamily<T> = { readonly [family in Family]?: T };

/**
 * The objects of a cluster that the planner reads. They are immutable: a change replaces the
 * object, so a planner may cache results by an object's identity.
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
  /** When the server created the object: RFC 3339. A Node cannot change it. */
  readonly creationTimestamp?: string;
  /**
   * Whether Kubernetes' own labels name the Node a control-plane node. The API server lets no
   * kubelet set these labels (NodeRestriction).
   */
  readonly isControlPlane?: boolean;
  /** Labels from Kubernetes and calicoctl. If both set a label, that of Kubernetes applies. */
  readonly labels: Readonly<Record<string, string>>;
  /**
   * The addresses in `projectcalico.org/IPv4Address` and `IPv6Address`, without their prefix
   * length: 4 or 16 bytes.
   */
  readonly bgpAddress: PerFamily<Uint8Array>;
  /**
   * The prefix lengths of {@link ClusterNode.bgpAddress}. An address without a prefix length
   * belongs to the node but is not an endpoint (Felix, calc/dataplane_passthru.go): its family is
   * absent here. The field is absent if no length is known.
   */
  readonly bgpLength?: PerFamily<number>;
  /** `status.addresses` of type InternalIP and ExternalIP, in their order. */
  readonly addresses: readonly NodeAddress[];
  /** The published public keys, as unvalidated text. A family with an empty key is absent. */
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
   * The address in `spec.podCIDR`, including its host bits. Absent if it equals the first entry of
   * `podCidrs`, or if the Node has no podCIDR.
   */
  readonly podCidrAddress?: Uint8Array;
  /** The `projectcalico.org/` annotations, as text. The agent rewrites some of them. */
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
 * The settings of one FelixConfiguration: its spec merged with its `config.projectcalico.org/`
 * annotations.
 */
export interface FelixConfiguration {
  /** `default`, `node.<nodename>`, or the name of a selector-scoped configuration. */
  readonly name: string;
  /** RFC 3339. If several selector-scoped configurations match a node, the oldest applies. */
  readonly creationTimestamp?: string;
  /** Present on selector-scoped configurations only. */
  readonly nodeSelector?: string;
  /**
   * By Felix's parameter names in lower case (`wireguardenabled`). Values are text in the form of
   * an environment variable, with durations in seconds. They are not validated yet.
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
  /** True if Calico takes no new blocks from the pool. */
  readonly disabled: boolean;
  /** True while the pool is being deleted. */
  readonly terminating: boolean;
  /** A Calico selector; `all()` if the pool has none. */
  readonly nodeSelector: string;
  /** `Workload`, `Tunnel` and so on; empty allows every use. */
  readonly allowedUses: readonly string[];
}

/** The part of an IPPool that says which blocks it may have. */
export type PoolRange = Pick<IpPool, 'cidr' | 'blockSize'>;

/** A Calico IPAMBlock (docs/reference/calico-felix.md#ipam-objects). */
export interface IpamBlock {
  /** The block's name, such as `10-0-0-0-26`. */
  readonly name: string;
  /** The addresses of the block. */
  readonly cidr: Prefix;
  /**
   * The node of a `host:<node>` affinity, or the name of a `virtual:<name>` affinity. Absent if the
   * block has no owner.
   */
  readonly owner?: string;
  /** When the server created the object: RFC 3339. */
  readonly creationTimestamp?: string;
  /**
   * The addresses that are allocated to another node than the owner (attribute `node`), and those
   * of tunnels. The owner's pods are left out: the block covers them, and a cluster has many.
   */
  readonly allocations: readonly Allocation[];
}

/** One address of an {@link IpamBlock} that is in use. */
export interface Allocation {
  /** 4 or 16 bytes. */
  readonly address: Uint8Array;
  /** The node that uses the address. */
  readonly node: string;
  /**
   * `wireguardTunnelAddress`, `vxlanTunnelAddress` or another tunnel's type; absent for a workload.
   */
  readonly type?: string;
}

/**
 * A pod that is scheduled and not finished, and that has addresses in a network namespace of its
 * own (docs/reference/calico-felix.md#prefix-owners).
 */
export interface Pod {
  /** The pod's namespace. */
  readonly namespace: string;
  /** When the server created the object: RFC 3339. */
  readonly creationTimestamp?: string;
  /** The pod's name. */
  readonly name: string;
  /** The node on which the pod is scheduled. */
  readonly node: string;
  /** 4 or 16 bytes each. */
  readonly addresses: readonly Uint8Array[];
}

/** A cluster without objects: a base that callers spread and override. */
export const EMPTY_CLUSTER: Cluster = {
  nodes: new Map(),
  felixConfigurations: new Map(),
  ipPools: new Map(),
  ipamBlocks: new Map(),
  pods: new Map(),
};
