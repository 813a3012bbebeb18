/** Plans for one node: turns the cluster's objects into the node's desired state. */
import type { Family } from '../../base/family.ts';
import { formatKeyBase64 } from '../../base/key.ts';
import type { ClusterNode } from '../model/cluster.ts';
import type { DesiredTunnel } from '../model/desired.ts';
import { type Problem, problemKey } from '../model/problem.ts';
import type { PeerState } from '../model/status.ts';
import { enablementCheck, indexConfigurations, isEnabled, resolveFelixConfig } from './config/felix-config.ts';
import { checkOptions } from './config/options.ts';
import type { FelixParameters } from './config/parameters.ts';
import { dataPlaneProblems } from './dataplane/felix-data-plane.ts';
import { planRoutes } from './dataplane/routes.ts';
import { planTunnel } from './dataplane/tunnel.ts';
import type { Plan, PlanInput } from './input.ts';
import { type Credentials, readCredentials } from './peers/eligibility.ts';
import { keyOwners } from './peers/key-owners.ts';
import { NodePrefixes } from './peers/node-prefixes.ts';
import { ownAddressCheck } from './peers/own-addresses.ts';
import { type Peers, planPeers } from './peers/peers.ts';
import { PrefixOwners } from './peers/prefix-owners.ts';
import { BelievedClaims } from './trust/believed-claims.ts';

const NONE: readonly never[] = [];
/** Of one object: people read no more. */
const MOST_OF_ONE_REASON = 8;

type PrefixesByNode = ReadonlyMap<string, NodePrefixes>;

/**
 * Plans repeatedly for a cluster that changes a little each time. It caches each object's
 * contribution by the object's identity, and each node's share of the last plan. A plan equals the
 * one that a new Planner would make, and takes a fraction of the time.
 */
export class Planner {
  readonly #claims = new BelievedClaims();
  readonly #credentials: Readonly<Record<Family, WeakMap<ClusterNode, Credentials>>> = {
    4: new WeakMap(),
    6: new WeakMap(),
  };
  readonly #owners = new PrefixOwners();
  /** The prefixes of each node in the last plan, reused where nothing changed. */
  readonly #prefixes: Record<Family, PrefixesByNode> = { 4: new Map(), 6: new Map() };

  /**
   * Returns the plan for one state of the cluster. Pure: the same input gives the same plan,
   * regardless of the order of its maps. Invalid input does not throw; it becomes a {@link
   * Problem}.
   */
  plan(input: PlanInput): Plan {
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
    if (!own) problems.push(unknownNode(nodeName));
    else if (checked.errors.length === 0 && families.length > 0) {
      if (families.length === 2 && parameters.WireguardListeningPort === parameters.WireguardListeningPortV6)
        problems.push(equalPorts(parameters.WireguardListeningPort));
      problems.push(...dataPlaneProblems(parameters, options));
      const encryptsHosts = parameters.WireguardHostEncryptionEnabled;
      const claims = this.#claims.collect({
        cluster,
        nodeName,
        usePodCidr: options.usePodCidr,
        failClosed: options.failClosed,
        encryptsHosts,
        fromPods: parameters.RouteSource === 'WorkloadIPs',
        apiServers: input.apiServers ?? NONE,
        formerPools: input.formerPools ?? NONE,
      });
      this.#owners.update(claims, nodeName);
      problems.push(...this.#claims.problems, ...this.#owners.problems(encryptsHosts));
      const names = [...cluster.nodes.keys()].sort();
      for (const family of families) {
        const prefixes = this.#updatePrefixes(family, cluster.nodes, names, encryptsHosts);
        const isEnabledOn = enablementCheck(configurations, family);
        const planned = this.#planPeers(input, own, family, prefixes, names, parameters, isEnabledOn);
        const { routes, sealed } = planRoutes({
          family,
          nodeName,
          prefixes,
          encrypted: planned.encrypted,
          isNode: name => cluster.nodes.has(name),
          failClosed: options.failClosed,
          hosts: () => names.flatMap(name => this.#claims.hostsOf(name)),
        });
        const { tunnel, problems: tunnelProblems } = planTunnel({
          input,
          own,
          family,
          parameters,
          peers: planned.peers,
          routes,
          sealed,
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

  /** Returns the prefixes of all nodes, and of owners that are not nodes, in order of name. */
  #updatePrefixes(
    family: Family,
    nodes: ReadonlyMap<string, ClusterNode>,
    nodeNames: readonly string[],
    encryptsHosts: boolean,
  ): PrefixesByNode {
    const others = [...this.#owners.names(family)].filter(name => !nodes.has(name));
    const names = others.length === 0 ? nodeNames : [...nodeNames, ...others].sort();
    const previous = this.#prefixes[family];
    const prefixes = new Map<string, NodePrefixes>();
    for (const name of names) {
      const claims = this.#owners.claimsOf(family, name);
      const reusable = previous.get(name);
      prefixes.set(
        name,
        reusable?.isBuiltFrom(claims, encryptsHosts) ? reusable : new NodePrefixes(name, claims, encryptsHosts),
      );
    }
    this.#prefixes[family] = prefixes;
    return prefixes;
  }

  #planPeers(
    { cluster, nodeName, ownPublicKey, options, keyOwners: remembered }: PlanInput,
    ownNode: ClusterNode,
    family: Family,
    prefixes: PrefixesByNode,
    names: readonly string[],
    parameters: FelixParameters,
    isEnabledOn: (node: ClusterNode) => boolean,
  ): Peers {
    const others = new Map<string, Credentials>();
    for (const name of names) {
      const node = cluster.nodes.get(name)!;
      if (name !== nodeName)
        others.set(
          name,
          memoize(this.#credentials[family], node, () => readCredentials(node, family)),
        );
    }
    const own = ownPublicKey[family];
    return planPeers({
      family,
      nodeName,
      ownKey: own && formatKeyBase64(own),
      credentials: others,
      keyOwner: keyOwners({
        credentials: others,
        remembered: remembered?.[family],
        isNode: name => cluster.nodes.has(name),
        created: name => cluster.nodes.get(name)?.creationTimestamp,
      }),
      prefixes,
      isDisabled: name => !isEnabledOn(cluster.nodes.get(name)!),
      describeOwnAddress: ownAddressCheck(ownNode, options.usePodCidr),
      port: family === 4 ? parameters.WireguardListeningPort : parameters.WireguardListeningPortV6,
      keepalive: parameters.WireguardPersistentKeepAlive,
    });
  }
}

/** Plans once. To plan again after each change of the cluster, keep a {@link Planner}. */
export function plan(input: PlanInput): Plan {
  return new Planner().plan(input);
}

function memoize<K extends object, V>(cache: WeakMap<K, V>, key: K, compute: () => V): V {
  const cached = cache.get(key);
  if (cached !== undefined) return cached;
  const value = compute();
  cache.set(key, value);
  return value;
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
