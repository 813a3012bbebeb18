/**
 * Plans the WireGuard tunnel of a node of a Calico cluster from the cluster's objects, as Felix
 * does: {@link plan}, or a {@link Planner} for many plans of one cluster. Pure: nothing here loads
 * the addon or a Node module, reads a clock, or talks to a cluster.
 *
 * @module wireguard-ts/calico-plan
 */

export type { Family } from '../base/family.ts';
export type { Prefix } from '../base/prefix.ts';
export {
  type Allocation,
  type Cluster,
  type ClusterNode,
  EMPTY_CLUSTER,
  type FelixConfiguration,
  type IpamBlock,
  type IpPool,
  type NodeAddress,
  type PerFamily,
  type Pod,
  type PoolRange,
} from '../calico/model/cluster.ts';
export type { Desired, DesiredFirewall, DesiredPeer, DesiredRoute, DesiredTunnel } from '../calico/model/desired.ts';
export type { Problem } from '../calico/model/problem.ts';
export type { PeerState, PlainReason } from '../calico/model/status.ts';
export type { NamePattern } from '../calico/plan/config/go-regexp.ts';
export { DEFAULT_OPTIONS, type PlanOptions } from '../calico/plan/config/options.ts';
export type { FelixParameters } from '../calico/plan/config/parameters.ts';
export type { MarkMask, TableRange } from '../calico/plan/config/values.ts';
export type { HostFacts, HostLink } from '../calico/plan/dataplane/mtu.ts';
export type { Plan, PlanInput } from '../calico/plan/input.ts';
export { Planner, plan } from '../calico/plan/planner.ts';
