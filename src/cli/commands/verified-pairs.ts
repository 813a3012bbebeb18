/**
 * Every two nodes of a cluster, and whether they are encrypted with each other: from the cluster, and of the pairs of this node also from its device. One
 * after another, as often as they are asked for: a thousand nodes are half a million pairs.
 */
import type { Family } from '../../base/family.ts';
import type { Cluster } from '../../calico/model/cluster.ts';
import type { Eligibility } from '../../calico/plan/peers/eligibility.ts';
import { eligibilityByNode, isFamilyInUse, type PairEligibility, pairs } from '../../calico/plan/peers/node-pairs.ts';
import type { PeerStatus } from '../../config/model.ts';

const FAMILIES: readonly Family[] = [4, 6];
/** What is not in the cluster, but seen at the device. */
export const NO_SUCH_PEER = 'the device here has no such peer';

export interface VerifiedPair {
  readonly family: Family;
  readonly a: string;
  readonly b: string;
  readonly encrypted: boolean;
  /** `b: no-key`; empty where they are encrypted. */
  readonly because: readonly string[];
  /** Who runs the tunnel on this node, where one of the two is this node and the device is here. */
  readonly backend?: string;
  /** Unix time; 0 for never. Where the device is here. */
  readonly lastHandshake?: number;
}

/** What a device here says. */
export interface LocalDevice {
  readonly backend: string;
  /** By public key in base64. */
  readonly peers: ReadonlyMap<string, PeerStatus>;
}

export class VerifiedPairs {
  readonly #families: readonly { readonly family: Family; readonly nodes: ReadonlyMap<string, PairEligibility> }[];
  readonly #devices: ReadonlyMap<string, LocalDevice>;
  readonly #only: string | undefined;

  /** @param devices by the public key of each. @param only pairs of this node alone */
  constructor(cluster: Cluster, devices: ReadonlyMap<string, LocalDevice>, only?: string) {
    this.#families = FAMILIES.filter(family => isFamilyInUse(cluster, family)).map(family => ({
      family,
      nodes: eligibilityByNode(cluster, family),
    }));
    this.#devices = devices;
    this.#only = only;
  }

  /** Nodes that are no peers of anybody, by why. */
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
        // what the cluster says is not enough where the device is here to ask
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
