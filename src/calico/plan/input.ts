/** What a plan is made from, and what a plan is. */
import type { Cluster, PerFamily } from '../model/cluster.ts';
import type { Desired } from '../model/desired.ts';
import type { Problem } from '../model/problem.ts';
import type { PeerState } from '../model/status.ts';
import type { PlanOptions } from './config/options.ts';
import type { FelixParameters } from './config/parameters.ts';
import type { HostFacts } from './dataplane/mtu.ts';

export interface PlanInput {
  readonly cluster: Cluster;
  readonly nodeName: string;
  /** Of the process: its `FELIX_...` count. */
  readonly environment: Readonly<Record<string, string | undefined>>;
  /** Text of Felix's configuration file, where there is one. */
  readonly felixFile?: string | undefined;
  readonly options: PlanOptions;
  readonly facts: HostFacts;
  /** Of our devices, as far as they are there: another node with such a key is none to talk to. */
  readonly ownPublicKey: PerFamily<Uint8Array>;
}

export interface Plan {
  readonly desired: Desired;
  /** Of every other node, in the order of their names, in the families that are on here. */
  readonly peers: PerFamily<readonly PeerState[]>;
  readonly problems: readonly Problem[];
  /** Whether Pods must be read: the addresses come from them (routeSource WorkloadIPs). */
  readonly wantsPods: boolean;
  /** What Felix's parameters are here. */
  readonly parameters: FelixParameters;
}
