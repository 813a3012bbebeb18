/** Input and result of {@link Planner}. */
import type { Cluster, PerFamily, PoolRange } from '../model/cluster.ts';
import type { Desired } from '../model/desired.ts';
import type { Problem } from '../model/problem.ts';
import type { PeerState } from '../model/status.ts';
import type { PlanOptions } from './config/options.ts';
import type { FelixParameters } from './config/parameters.ts';
import type { HostFacts } from './dataplane/mtu.ts';

/** Everything that a plan depends on. */
export interface PlanInput {
  /** The objects of the cluster. */
  readonly cluster: Cluster;
  /** The Kubernetes name of the node to plan for. */
  readonly nodeName: string;
  /** Environment variables of the agent. Only `FELIX_...`, in any letter case, are read. */
  readonly environment: Readonly<Record<string, string | undefined>>;
  /** Text of Felix's configuration file, if it exists. */
  readonly felixFile?: string | undefined;
  /** Options that the agent's operator sets. */
  readonly options: PlanOptions;
  /** Facts about the host: its links, and whether it is an AKS node. */
  readonly facts: HostFacts;
  /**
   * Public keys of this node's existing devices, 32 bytes each. A node that publishes one of them
   * does not become a peer.
   */
  readonly ownPublicKey: PerFamily<Uint8Array>;
  /**
   * Addresses by which this node reaches the API server, 4 or 16 bytes each. No other node gets
   * them.
   */
  readonly apiServers?: readonly Uint8Array[];
  /**
   * IPPools that are gone, and whose blocks may remain. Pass the same array until it changes; a
   * plan depends on its content, and only its speed on its identity.
   */
  readonly formerPools?: readonly PoolRange[];
  /**
   * The node that published each key (base64, canonical) first, as far as is known. Where nothing
   * is known, it is the node that was created first.
   */
  readonly keyOwners?: PerFamily<ReadonlyMap<string, string>>;
}

/** The desired state of a node, and the problems found while planning. */
export interface Plan {
  /** The desired state of this node. */
  readonly desired: Desired;
  /** Every other node in order of name, for each family that is enabled on this node. */
  readonly peers: PerFamily<readonly PeerState[]>;
  /** Problems without duplicates, in an order that depends only on the problems. */
  readonly problems: readonly Problem[];
  /**
   * Whether the plan reads `cluster.pods`: true with route source WorkloadIPs, which takes
   * addresses from Pods.
   */
  readonly wantsPods: boolean;
  /** The Felix parameters in effect on this node. */
  readonly parameters: FelixParameters;
}
