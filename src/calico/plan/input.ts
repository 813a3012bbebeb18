/** Input and result of {@link Planner}. */
import type { Cluster, PerFamily } from '../model/cluster.ts';
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
  /** Name of the node that the plan is for, as Kubernetes has it. */
  readonly nodeName: string;
  /** Environment variables of the agent. Only `FELIX_...`, in any letter case, are read. */
  readonly environment: Readonly<Record<string, string | undefined>>;
  /** Text of Felix's configuration file, if it exists. */
  readonly felixFile?: string | undefined;
  /** Options of the agent's operator. */
  readonly options: PlanOptions;
  /** Facts about the host: its links, and whether it is an AKS node. */
  readonly facts: HostFacts;
  /**
   * Public keys of this node's devices, 32 bytes, as far as they exist. A node that publishes one
   * of them does not become a peer.
   */
  readonly ownPublicKey: PerFamily<Uint8Array>;
}

/** The desired state of a node, and the problems found on the way. */
export interface Plan {
  /** The desired state of this node. */
  readonly desired: Desired;
  /** Every other node in order of name, for each family that is enabled on this node. */
  readonly peers: PerFamily<readonly PeerState[]>;
  /** Each problem once, in an order that depends on the problems alone. */
  readonly problems: readonly Problem[];
  /**
   * Whether the plan needs `cluster.pods`: addresses come from them with route source WorkloadIPs.
   */
  readonly wantsPods: boolean;
  /** Felix's parameters as they apply to this node. */
  readonly parameters: FelixParameters;
}
