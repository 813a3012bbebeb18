/**
 * Determines for each pair of a cluster's nodes whether it is encrypted. The answer comes from the
 * cluster and, for pairs that include this node, also from its device. Pairs are generated on
 * demand, because a thousand nodes form half a million pairs.
 */
import type { Family } from '../../base/family.ts';
import type { Cluster } from '../../calico/model/cluster.ts';
import type { Eligibility } from '../../calico/plan/peers/eligibility.ts';
import { eligibilityByNode, isFamilyInUse, type PairEligibility, pairs } from '../../calico/plan/peers/node-pairs.ts';
import type { PeerStatus } from '../../config/model.ts';

const FAMILIES: readonly Family[] = [4, 6];
/** A reason that comes from the device instead of the cluster. */
const NO_SUCH_PEER = 'the device here has no such peer';

export interface VerifiedPair {
  readonly family: Family;
  readonly a: string;
  readonly b: string;
  readonly encrypted: boolean;
  /** The reasons, such as `b: no-key`. Empty for an encrypted pair. */
  readonly because: readonly string[];
  /**
   * The implementation of the tunnel on this node. Present if this node is one of the pair and its
   * device was found.
   */
  readonly backend?: string;
  /** Unix time in seconds; 0 if there was no handshake. Present if the device was found. */
  readonly lastHandshake?: number;
}

/** What one of this node's devices reports. */
export interface LocalDevice {
  readonly backend: string;
  /** Peers by public key in base64. */
  readonly peers: ReadonlyMap<string, PeerStatus>;
}

export class VerifiedPairs {
  readonly #families: readonly { readonly family: Family; readonly nodes: ReadonlyMap<string, PairEligibility> }[];
  readonly #devices: ReadonlyMap<string, LocalDevice>;
  readonly #only: string | undefined;

  /**
   * Prepares the pairs of a cluster.
   * @param devices this node's devices, by the public key of each
   * @param only a node's name; restricts the result to pairs that include this node
   */
  constructor(cluster: Cluster, devices: ReadonlyMap<string, LocalDevice>, only?: string) {
    this.#families = FAMILIES.filter(family => isFamilyInUse(cluster, family)).map(family => ({
      family,
      nodes: eligibilityByNode(cluster, family),
    }));
    this.#devices = devices;
    this.#only = only;
  }

  /** Names of the nodes that cannot be a peer of any other node, by reason. */
  get plainNodes(): ReadonlyMap<string, readonly string[]> {
    const found = new Map<string, string[]>();
    for (const { family, nodes } of this.#families)
      for (const [name, { plain }] of nodes) {
        if (!plain) continue;
        const key = `IPv${family} ${plain}`;
        const names = found.get(key);
        if (names) names.push(name);
        else found.set(key, [name]);
      }
    return found;
  }

  *[Symbol.iterator](): Generator<VerifiedPair> {
    for (const { family, nodes } of this.#families)
      for (const { a, b, because } of pairs(nodes)) {
        if (this.#only !== undefined && a !== this.#only && b !== this.#only) continue;
        const one = this.#seenHere(nodes.get(a)!, nodes.get(b)!);
        const reasons = because.map(({ node, reason }) => `${node}: ${reason}`);
        // If the device was found, it must have the peer too: the cluster's view alone is not
        // sufficient.
        if (one && reasons.length === 0 && !one.peer) reasons.push(NO_SUCH_PEER);
        yield {
          family,
          a,
          b,
          encrypted: reasons.length === 0,
          because: reasons,
          ...(one && { backend: one.backend, lastHandshake: one.peer?.lastHandshakeSeconds ?? 0 }),
        };
      }
  }

  #seenHere(a: Eligibility, b: Eligibility): { backend: string; peer: PeerStatus | undefined } | undefined {
    for (const [here, there] of [
      [a, b],
      [b, a],
    ] as const) {
      const device = here.keyText === undefined ? undefined : this.#devices.get(here.keyText);
      if (device) return { backend: device.backend, peer: device.peers.get(there.keyText ?? '') };
    }
    return undefined;
  }
}
