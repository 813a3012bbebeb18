/** Plans for one node, again and again: the one way from the cluster to the desired state. */
import type { Family } from '../../base/family.ts';
import { formatKeyBase64 } from '../../base/key.ts';
import type { ClusterNode, IpamBlock, Pod } from '../model/cluster.ts';
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
import { type Credentials, credentials } from './peers/eligibility.ts';
import { NodePart } from './peers/node-prefixes.ts';
import { ownAddressCheck } from './peers/own-addresses.ts';
import { type Peers, planPeers } from './peers/peers.ts';
import { blockClaims, type Claim, nodeClaims, podClaims } from './peers/prefix-claims.ts';
import { Owners } from './peers/prefix-owners.ts';

type Parts = ReadonlyMap<string, NodePart>;

/**
 * Makes plan after plan of a cluster that changes a little each time. It remembers what each object
 * contributes, by the object's identity, and each node's part of the last plan. A plan equals the
 * one that a new Planner would make, and takes a fraction of the time.
 */
export class Planner {
  #nodes = new WeakMap<ClusterNode, readonly Claim[]>();
  readonly #blocks = new WeakMap<IpamBlock, readonly Claim[]>();
  readonly #pods = new WeakMap<Pod, readonly Claim[]>();
  readonly #credentials: Readonly<Record<Family, WeakMap<ClusterNode, Credentials>>> = {
    4: new WeakMap(),
    6: new WeakMap(),
  };
  readonly #owners = new Owners();
  readonly #parts: Record<Family, Parts> = { 4: new Map(), 6: new Map() };
  /** What the nodes' claims were made for. */
  #mode = '';

  /**
   * Returns the plan for one state of the cluster. Pure: the same input gives the same plan,
   * whatever the order of its maps. Nothing throws: whatever cannot be used becomes a {@link
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
      this.#owners.update(this.#contributions(input, parameters), nodeName);
      problems.push(...this.#owners.problems(encryptsHosts));
      const names = [...cluster.nodes.keys()].sort();
      for (const family of families) {
        const parts = this.#partsOf(family, cluster.nodes, names, encryptsHosts);
        const found = this.#peersOf(
          input,
          own,
          family,
          parts,
          names,
          parameters,
          enablementCheck(configurations, family),
        );
        const { routes, sealed } = planRoutes({
          family,
          nodeName,
          parts,
          encrypted: found.encrypted,
          isNode: name => cluster.nodes.has(name),
          failClosed: options.failClosed,
          hosts: () => names.flatMap(name => this.#nodes.get(cluster.nodes.get(name)!)!.filter(({ host }) => host)),
        });
        const { tunnel, problems: more } = planTunnel({
          input,
          own,
          family,
          parameters,
          peers: found.peers,
          routes,
          sealed,
        });
        tunnels[family] = tunnel;
        peers[family] = found.states;
        problems.push(...found.problems, ...more);
      }
    }
    return {
      desired: { tunnels },
      peers,
      problems: eachOnce(problems),
      wantsPods: families.length > 0 && parameters.RouteSource === 'WorkloadIPs',
      parameters,
    };
  }

  #contributions(
    { cluster, nodeName, options: { usePodCidr, failClosed } }: PlanInput,
    parameters: FelixParameters,
  ): readonly (readonly Claim[])[] {
    const fromPods = parameters.RouteSource === 'WorkloadIPs';
    const mode = `${usePodCidr} ${fromPods} ${failClosed}`;
    if (mode !== this.#mode) this.#nodes = new WeakMap();
    this.#mode = mode;
    const contributions: (readonly Claim[])[] = [];
    for (const node of cluster.nodes.values())
      contributions.push(
        remembered(this.#nodes, node, () => nodeClaims(node, { usePodCidr, withBlocks: !fromPods, failClosed })),
      );
    // blocks are Calico IPAM's
    if (!fromPods && !usePodCidr)
      for (const block of cluster.ipamBlocks.values())
        contributions.push(remembered(this.#blocks, block, () => blockClaims(block)));
    for (const pod of cluster.pods.values())
      if (fromPods || pod.node === nodeName) contributions.push(remembered(this.#pods, pod, () => podClaims(pod)));
    return contributions;
  }

  /** In the order of the names of all that have prefixes, and of all nodes. */
  #partsOf(
    family: Family,
    nodes: ReadonlyMap<string, ClusterNode>,
    nodeNames: readonly string[],
    encryptsHosts: boolean,
  ): Parts {
    const others = [...this.#owners.names(family)].filter(name => !nodes.has(name));
    const names = others.length === 0 ? nodeNames : [...nodeNames, ...others].sort();
    const last = this.#parts[family];
    const parts = new Map<string, NodePart>();
    for (const name of names) {
      const claims = this.#owners.claimsOf(family, name);
      const there = last.get(name);
      parts.set(name, there?.isOf(claims, encryptsHosts) ? there : new NodePart(name, claims, encryptsHosts));
    }
    this.#parts[family] = parts;
    return parts;
  }

  #peersOf(
    { cluster, nodeName, ownPublicKey, options }: PlanInput,
    ownNode: ClusterNode,
    family: Family,
    parts: Parts,
    names: readonly string[],
    parameters: FelixParameters,
    isOn: (node: ClusterNode) => boolean,
  ): Peers {
    const others = new Map<string, Credentials>();
    for (const name of names) {
      const node = cluster.nodes.get(name)!;
      if (name !== nodeName)
        others.set(
          name,
          remembered(this.#credentials[family], node, () => credentials(node, family)),
        );
    }
    const own = ownPublicKey[family];
    return planPeers({
      family,
      nodeName,
      ownKey: own && formatKeyBase64(own),
      credentials: others,
      parts,
      isDisabled: name => !isOn(cluster.nodes.get(name)!),
      whyOurs: ownAddressCheck(ownNode, options.usePodCidr),
      port: family === 4 ? parameters.WireguardListeningPort : parameters.WireguardListeningPortV6,
      keepalive: parameters.WireguardPersistentKeepAlive,
    });
  }
}

/**
 * Plans once. A caller that plans again after each change of the cluster keeps a {@link Planner}.
 */
export function plan(input: PlanInput): Plan {
  return new Planner().plan(input);
}

function remembered<K extends object, V>(memory: WeakMap<K, V>, key: K, make: () => V): V {
  const there = memory.get(key);
  if (there !== undefined) return there;
  const made = make();
  memory.set(key, made);
  return made;
}

/** In an order of their own, whatever order they were found in. */
function eachOnce(problems: readonly Problem[]): readonly Problem[] {
  const byKey = new Map(problems.map(problem => [problemKey(problem), problem]));
  return [...byKey].sort(([a], [b]) => (a < b ? -1 : 1)).map(([, problem]) => problem);
}

function unknownNode(name: string): Problem {
  return {
    object: `Node/${name}`,
    reason: 'UnknownNode',
    message:
      'there is no Node of this name in the cluster, so that this node can have no tunnel; set NODENAME to its name in Kubernetes',
  };
}

function equalPorts(port: number): Problem {
  return {
    object: 'FelixConfiguration',
    reason: 'EqualListeningPorts',
    message: `wireguardListeningPort and wireguardListeningPortV6 are both ${port}, and only one of the tunnels can have it; set them to different ports`,
  };
}
