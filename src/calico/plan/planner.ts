/** Plans for one node: turns the cluster's objects into the node's desired state. */
import type { Family } from '../../base/family.ts';
import { formatKeyBase64 } from '../../base/key.ts';
import type { ClusterNode } from '../model/cluster.ts';
import type { DesiredTunnel } from '../model/desired.ts';
import { type Problem, problemKey } from '../model/problem.ts';
import type { PeerState } from '../model/status.ts';
import { FamilyPlanner, type FamilySettings } from './changes/family-planner.ts';
import {
  type ConfigurationIndex,
  enablementCheck,
  indexConfigurations,
  isEnabled,
  resolveFelixConfig,
} from './config/felix-config.ts';
import { checkOptions } from './config/options.ts';
import type { FelixParameters } from './config/parameters.ts';
import { dataPlaneProblems } from './dataplane/felix-data-plane.ts';
import { planTunnel } from './dataplane/tunnel.ts';
import type { Plan, PlanInput } from './input.ts';
import { ownAddressCheck } from './peers/own-addresses.ts';
import { PrefixOwners } from './peers/prefix-owners.ts';
import { BelievedClaims, type ClaimSettings } from './trust/believed-claims.ts';

const NONE: readonly never[] = [];
/** Of one object: people read no more. */
const MOST_OF_ONE_REASON = 8;

/** The parts of the last plan that the next one continues from. */
interface Continuation {
  readonly settings: ClaimSettings;
  readonly sources: BelievedClaims;
  readonly owners: PrefixOwners;
  readonly families: Readonly<Record<Family, FamilyPlanner>>;
  /** The settings of each family, and what they were made from. */
  readonly familySettings: {
    [family in Family]?: { readonly from: readonly unknown[]; readonly settings: FamilySettings };
  };
}

/**
 * Plans repeatedly for a cluster that changes a little each time. It continues from its last plan,
 * so a plan costs what changed, and no more in a large cluster. A plan equals the one that a new
 * Planner would make.
 */
export class Planner {
  #continuation: Continuation | undefined;
  #plannedNodes = 0;

  /** Number of nodes that the last plan looked at, summed over the families: what the plan cost. */
  get plannedNodes(): number {
    return this.#plannedNodes;
  }

  /**
   * Returns the plan for one state of the cluster. Pure: the same input gives the same plan,
   * regardless of the order of its maps. Invalid input does not throw; it becomes a {@link
   * Problem}.
   */
  plan(input: PlanInput): Plan {
    try {
      return this.#plan(input);
    } catch (error) {
      // Nothing of a plan that failed half-way may stay.
      this.#continuation = undefined;
      throw error;
    }
  }

  #plan(input: PlanInput): Plan {
    const { cluster, nodeName, options, environment, felixFile: file } = input;
    const own = cluster.nodes.get(nodeName);
    const configurations = indexConfigurations(cluster.felixConfigurations);
    const config = resolveFelixConfig({ environment, file, configurations, nodeName, labels: own?.labels ?? {} });
    const { parameters } = config;
    const checked = checkOptions(options, parameters);
    const problems: Problem[] = [...config.problems, ...checked.errors, ...checked.warnings];
    const families = ([4, 6] as const).filter(family =>
      options.enableHere === 'always' ? config.clusterEnabled[family] : isEnabled(parameters, family),
    );
    const tunnels: { [family in Family]?: DesiredTunnel } = {};
    const peers: { [family in Family]?: readonly PeerState[] } = {};
    this.#plannedNodes = 0;
    if (!own) problems.push(unknownNode(nodeName));
    else if (checked.errors.length === 0 && families.length > 0) {
      if (families.length === 2 && parameters.WireguardListeningPort === parameters.WireguardListeningPortV6)
        problems.push(equalPorts(parameters.WireguardListeningPort));
      problems.push(...dataPlaneProblems(parameters, options));
      const continuation = this.#continue(input, parameters);
      const { owners } = continuation;
      const encryptsHosts = parameters.WireguardHostEncryptionEnabled;
      const { apiServers = NONE, formerPools = NONE } = input;
      owners.update(continuation.sources.update({ cluster, encryptsHosts, apiServers, formerPools }));
      problems.push(...continuation.sources.problems, ...owners.problems(encryptsHosts));
      for (const family of families) {
        const settings = familySettings(continuation, input, own, family, parameters, configurations);
        const planned = continuation.families[family];
        this.#plannedNodes += planned.update(cluster.nodes, settings, input.keyOwners?.[family]);
        const { tunnel, problems: tunnelProblems } = planTunnel({
          input,
          own,
          family,
          parameters,
          peers: planned.peers,
          routes: planned.routes,
          sealed: planned.sealed,
        });
        tunnels[family] = tunnel;
        peers[family] = planned.states;
        problems.push(...planned.problems, ...tunnelProblems);
      }
    }
    return {
      desired: { tunnels },
      peers,
      problems: dedupe(problems),
      wantsPods: families.length > 0 && parameters.RouteSource === 'WorkloadIPs',
      parameters,
    };
  }

  /** Returns what the last plan left, or a new beginning if other objects count now. */
  #continue({ nodeName, options: { usePodCidr, failClosed } }: PlanInput, parameters: FelixParameters): Continuation {
    const settings: ClaimSettings = {
      nodeName,
      usePodCidr,
      fromPods: parameters.RouteSource === 'WorkloadIPs',
      failClosed,
    };
    const last = this.#continuation;
    if (last && areSame(Object.values(last.settings), Object.values(settings))) return last;
    const sources = new BelievedClaims(settings);
    const owners = new PrefixOwners(nodeName);
    const families = { 4: new FamilyPlanner(4, owners, sources), 6: new FamilyPlanner(6, owners, sources) };
    this.#continuation = { settings, sources, owners, families, familySettings: {} };
    return this.#continuation;
  }
}

/** Returns the settings of a family: the same object until one of them changes. */
function familySettings(
  { familySettings: known }: Continuation,
  { cluster, nodeName, ownPublicKey, options }: PlanInput,
  own: ClusterNode,
  family: Family,
  parameters: FelixParameters,
  configurations: ConfigurationIndex,
): FamilySettings {
  const ownBytes = ownPublicKey[family];
  const ownKey = ownBytes && formatKeyBase64(ownBytes);
  const port = family === 4 ? parameters.WireguardListeningPort : parameters.WireguardListeningPortV6;
  const keepalive = parameters.WireguardPersistentKeepAlive;
  const encryptsHosts = parameters.WireguardHostEncryptionEnabled;
  const from = [ownKey, port, keepalive, encryptsHosts, own, cluster.felixConfigurations];
  const last = known[family];
  if (last && areSame(last.from, from)) return last.settings;
  const settings: FamilySettings = {
    family,
    nodeName,
    ownKey,
    isEnabledOn: enablementCheck(configurations, family),
    describeOwnAddress: ownAddressCheck(own, options.usePodCidr),
    port,
    keepalive,
    encryptsHosts,
    failClosed: options.failClosed,
  };
  known[family] = { from, settings };
  return settings;
}

function areSame(a: readonly unknown[], b: readonly unknown[]): boolean {
  return a.length === b.length && a.every((each, i) => each === b[i]);
}

/** Plans once. To plan again after each change of the cluster, keep a {@link Planner}. */
export function plan(input: PlanInput): Plan {
  return new Planner().plan(input);
}

/**
 * Removes duplicates, and sorts so that the result does not depend on the order of discovery. One
 * object cannot fill the list: of its Problems with one reason, the first ones are kept.
 */
function dedupe(problems: readonly Problem[]): readonly Problem[] {
  const byKey = new Map(problems.map(problem => [problemKey(problem), problem]));
  const sorted = [...byKey].sort(([a], [b]) => (a < b ? -1 : 1)).map(([, problem]) => problem);
  let same = 0;
  return sorted.flatMap((problem, i) => {
    const { object, reason } = problem;
    same = sorted[i - 1]?.object === object && sorted[i - 1]?.reason === reason ? same + 1 : 0;
    if (same < MOST_OF_ONE_REASON) return [problem];
    const isLast = sorted[i + 1]?.object !== object || sorted[i + 1]?.reason !== reason;
    const message = `and ${same + 1 - MOST_OF_ONE_REASON} more like those above`;
    return isLast ? [{ ...problem, message }] : [];
  });
}

function unknownNode(name: string): Problem {
  return {
    object: `Node/${name}`,
    reason: 'UnknownNode',
    message:
      'the cluster has no Node of this name, so this node cannot have a tunnel; set NODENAME to its name in Kubernetes',
  };
}

function equalPorts(port: number): Problem {
  return {
    object: 'FelixConfiguration',
    reason: 'EqualListeningPorts',
    message: `wireguardListeningPort and wireguardListeningPortV6 are both ${port}, and only one of the tunnels can listen on it; set them to different ports`,
  };
}
