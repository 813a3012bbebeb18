/**
 * Pairs of nodes of a cluster, and whether each pair is encrypted: from the cluster, and for pairs
 * of this node also from its device. Pairs are generated on demand, because a thousand nodes form
 * half a million pairs.
 */
import type { Family } from '../../base/family.ts';
import type { Cluster } from '../../calico/model/cluster.ts';
import type { Eligibility } from '../../calico/plan/peers/eligibility.ts';
import { eligibilityByNode, isFamilyInUse, type PairEligibility, pairs } from '../../calico/plan/peers/node-pairs.ts';
import type { PeerStatus } from '../../config/model.ts';

const FAMILIES: readonly Family[] = [4, 6];
/** A reason from the device, not from the cluster. */
const NO_SUCH_PEER = 'the device here has no such peer';

export interface VerifiedPair {
  readonly family: Family;
  readonly a: string;
  readonly b: string;
  readonly encrypted: boolean;
  /** `b: no-key`; empty for an encrypted pair. */
  readonly because: readonly string[];
  /**
   * The implementation of the tunnel on this node, if this node is one of the pair and its device
   * is here.
   */
  readonly backend?: string;
  /** Unix time, seconds; 0 for never. Present if the device is here. */
  readonly lastHandshake?: number;
}

/** What a device of this node reports. */
export interface LocalDevice {
  readonly backend: string;
  /** By public key in base64. */
  readonly peers: ReadonlyMap<string, PeerStatus>;
}

export class VerifiedPairs {
  readonly #families: readonly { readonly family: Family; readonly nodes: ReadonlyMap<string, PairEligibility> }[];
  readonly #devices: ReadonlyMap<string, LocalDevice>;
  readonly #only: string | undefined;

  /**
   * @param devices by the public key of each
   * @param only restricts the pairs to those of this node
   */
  constructor(cluster: Cluster, devices: ReadonlyMap<string, LocalDevice>, only?: string) {
    this.#families = FAMILIES.filter(family => isFamilyInUse(cluster, family)).map(family => ({
      family,
      nodes: eligibilityByNode(cluster, family),
    }));
    this.#devices = devices;
    this.#only = only;
  }

  /** Nodes that can be a peer of no other node, by reason. */
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
        // Where the device is here, its peers count too: the cluster's view is not sufficient.
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
