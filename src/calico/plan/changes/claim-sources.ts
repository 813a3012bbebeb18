/**
 * Collects the claims that the objects of a cluster make, object by object. Each update looks only
 * at objects that changed since the last one, and returns which claims are gone and which are new.
 */
import { changedKeys } from '../../../base/versioned-map.ts';
import { type Cluster, EMPTY_CLUSTER } from '../../model/cluster.ts';
import { blockClaims, nodeClaims, type PrefixClaim, podClaims } from '../peers/prefix-claims.ts';
import type { ClaimChanges } from '../peers/prefix-owners.ts';

/** Settings that decide which claims an object makes. */
export interface ClaimSettings {
  /** This node. Its pods claim their addresses even where blocks decide. */
  readonly nodeName: string;
  readonly usePodCidr: boolean;
  /** Whether pods claim their addresses, and blocks claim nothing (route source WorkloadIPs). */
  readonly fromPods: boolean;
  readonly failClosed: boolean;
}

type Claims = Map<string, readonly PrefixClaim[]>;

export class ClaimSources {
  readonly #settings: ClaimSettings;
  readonly #nodes: Claims = new Map();
  readonly #blocks: Claims = new Map();
  readonly #pods: Claims = new Map();
  #cluster: Cluster = EMPTY_CLUSTER;
  #hostVersion = 0;

  constructor(settings: ClaimSettings) {
    this.#settings = settings;
  }

  /** A number that changes when the own addresses of any node change. */
  get hostVersion(): number {
    return this.#hostVersion;
  }

  update(cluster: Cluster): ClaimChanges {
    const { nodeName, usePodCidr, fromPods, failClosed } = this.#settings;
    const before = this.#cluster;
    this.#cluster = cluster;
    const removed: (readonly PrefixClaim[])[] = [];
    const added: (readonly PrefixClaim[])[] = [];
    const collect = <T>(
      known: Claims,
      last: ReadonlyMap<string, T>,
      now: ReadonlyMap<string, T>,
      claimsOf: (object: T) => readonly PrefixClaim[],
    ): void => {
      for (const key of changedKeys(last, now)) {
        const old = known.get(key);
        if (old) removed.push(old);
        const object = now.get(key);
        const claims = object === undefined ? NONE : claimsOf(object);
        if (hostTexts(old ?? NONE) !== hostTexts(claims)) this.#hostVersion++;
        if (claims.length > 0) {
          known.set(key, claims);
          added.push(claims);
        } else known.delete(key);
      }
    };
    const options = { usePodCidr, withBlocks: !fromPods, failClosed };
    collect(this.#nodes, before.nodes, cluster.nodes, node => nodeClaims(node, options));
    // Blocks exist only with Calico IPAM, not with host-local IPAM.
    if (!fromPods && !usePodCidr) collect(this.#blocks, before.ipamBlocks, cluster.ipamBlocks, blockClaims);
    collect(this.#pods, before.pods, cluster.pods, pod => (fromPods || pod.node === nodeName ? podClaims(pod) : NONE));
    return { removed, added };
  }

  /** Yields the claims of all nodes to their own addresses. */
  *hosts(): Generator<PrefixClaim> {
    for (const claims of this.#nodes.values()) for (const claim of claims) if (claim.host) yield claim;
  }
}

const NONE: readonly PrefixClaim[] = [];

function hostTexts(claims: readonly PrefixClaim[]): string {
  return claims.flatMap(({ host, text }) => (host ? text : [])).join();
}
