/**
 * Our key of one family on our Node, and with `--allocate` the tunnel's address, which comes after the key and goes after it (docs/reference/calico-felix.md#tunnel-addresses): a Node
 * with the address of a tunnel and no key would be one that newer Calicos send nothing in the clear (docs/reference/calico-felix.md#bgp).
 *
 * Nothing here fails: what is in the way is a Problem, and the next turn tries again.
 */
import { formatAddress } from '../../base/address.ts';
import { formatKeyBase64 } from '../../base/key.ts';
import type { Family } from '../../netlink/family.ts';
import { ADDRESS_ANNOTATION } from '../model/annotations.ts';
import type { Cluster, ClusterNode, IpPool } from '../model/cluster.ts';
import type { Problem } from '../model/problem.ts';
import type { Allocation } from '../publish/ipam/allocator.ts';
import type { AgentParts } from './dependencies.ts';

/** Of problems that pass by themselves, so that it is tried again soon. */
export const KEY_NOT_WITHDRAWN = 'KeyNotWithdrawn';
export const ADDRESS_NOT_ALLOCATED = 'AddressNotAllocated';
/** How long a tunnel stays for a cluster that does not answer, once. */
const PATIENCE = 10_000;

export interface OwnKeyOptions {
  readonly family: Family;
  readonly nodeName: string;
  readonly parts: Pick<AgentParts, 'publisher' | 'allocator' | 'machine'>;
  /** As it was seen last. */
  ownNode(): ClusterNode | undefined;
}

/** What an address was asked for with. */
interface Ensured {
  readonly labels: string;
  readonly pools: ReadonlyMap<string, IpPool>;
  /** What the Node said then. */
  readonly before: string | undefined;
  readonly address: string | undefined;
  /** Whether the Node was seen with it. */
  seen: boolean;
  readonly problem?: Problem;
}

export class OwnKey {
  readonly #options: OwnKeyOptions;
  #publicKey: Uint8Array | undefined;
  /** Nothing of ours is on the Node. */
  #gone = false;
  #withdrawal: Promise<Problem | undefined> | undefined;
  #waited = false;
  #ensured: Ensured | undefined;
  /** One thing at a time in the IPAM. */
  #allocating: Promise<unknown> = Promise.resolve();

  constructor(options: OwnKeyOptions) {
    this.#options = options;
  }

  /** Of the private key that is kept here, as far as it was read. */
  get publicKey(): Uint8Array | undefined {
    return this.#publicKey;
  }

  get isPublished(): boolean {
    return this.#options.parts.publisher.isPublished(this.#options.family);
  }

  /** A file that cannot be used is said by apply, which needs it. @returns whether the key is another than before */
  read(): boolean {
    const before = this.#publicKey;
    try {
      this.#publicKey = this.#options.parts.machine.ownPublicKey(this.#options.family) ?? before;
    } catch {
      return false;
    }
    return this.#text(before) !== this.#text(this.#publicKey);
  }

  publish(publicKey: string): void {
    this.#withdrawal = undefined;
    this.#gone = false;
    this.#waited = false;
    this.#options.parts.publisher.publish(this.#options.family, publicKey);
  }

  /** Resolves when nobody sends to this tunnel any more, as far as we can bring that about. */
  withdraw(): Promise<Problem | undefined> {
    if (this.#gone) return Promise.resolve(undefined);
    if (this.#withdrawal) return this.#withdrawal;
    const mine = this.#takeAway(() => this.#withdrawal === mine);
    this.#withdrawal = mine;
    return mine;
  }

  /** @param full whether what is there is to be looked at, though nothing changed here */
  async ensureAddress(cluster: Cluster, full: boolean): Promise<Problem | undefined> {
    const { family, nodeName, parts } = this.#options;
    const own = cluster.nodes.get(nodeName);
    if (!parts.allocator || !own || !this.isPublished) return undefined;
    const annotated = own.annotations[ADDRESS_ANNOTATION[family]];
    const labels = JSON.stringify(own.labels);
    const known = this.#ensured;
    if (known && known.labels === labels && known.pools === cluster.ipPools) {
      const there = annotated !== undefined && annotated === known.address;
      if (there) known.seen = true;
      // the Node is seen later than it is changed
      const lags = !known.seen && annotated === known.before;
      if (full ? there && isHeld(cluster, nodeName, annotated) : there || lags) return known.problem;
    }
    const { address, problem } = await this.#allocate(({ ensure }) => ensure(family, annotated));
    this.#ensured = {
      labels,
      pools: cluster.ipPools,
      before: annotated,
      seen: false,
      address: address && formatAddress(address),
      ...(problem && { problem }),
    };
    return problem;
  }

  async #takeAway(counts: () => boolean): Promise<Problem | undefined> {
    const { family, nodeName, parts } = this.#options;
    const ours = this.#text(this.#publicKey);
    const patience = this.#waited ? 0 : PATIENCE;
    const gone = await parts.publisher.withdraw(family, { patience, ...(ours !== undefined && { ours }) });
    if (!counts()) return undefined;
    this.#waited = !gone;
    const problem = gone ? await this.#release(ours, counts) : keyStays(nodeName, family);
    if (!counts()) return undefined;
    this.#withdrawal = undefined;
    this.#gone = problem === undefined;
    return problem;
  }

  /** The address is of whoever has a key there: Felix takes it under the same handle as we do. */
  async #release(ours: string | undefined, counts: () => boolean): Promise<Problem | undefined> {
    const { family, parts, ownNode } = this.#options;
    if (!parts.allocator) return undefined;
    this.#ensured = undefined;
    const { problem } = await this.#allocate(async ({ release }): Promise<Allocation> => {
      const own = ownNode();
      const key = own?.publicKey[family];
      if (!counts() || (key !== undefined && key !== ours)) return {};
      return release(family, own?.annotations[ADDRESS_ANNOTATION[family]]);
    });
    return problem;
  }

  #allocate(action: (allocator: NonNullable<AgentParts['allocator']>) => Promise<Allocation>): Promise<Allocation> {
    const { nodeName, parts } = this.#options;
    const allocator = parts.allocator!;
    const bound = {
      ensure: allocator.ensure.bind(allocator),
      release: allocator.release.bind(allocator),
    };
    const result = this.#allocating
      .then(() => action(bound))
      .catch((error: unknown): Allocation => {
        const message = `the address of the tunnel: ${(error as Error).message}`;
        return { problem: { object: `Node/${nodeName}`, reason: ADDRESS_NOT_ALLOCATED, message } };
      });
    this.#allocating = result;
    return result;
  }

  #text(key: Uint8Array | undefined): string | undefined {
    return key && formatKeyBase64(key);
  }
}

/** Whether the IPAM gave us this address, as far as the cluster was read. */
function isHeld(cluster: Cluster, nodeName: string, address: string | undefined): boolean {
  for (const { allocations } of cluster.ipamBlocks.values())
    for (const { node, address: allocated } of allocations)
      if (node === nodeName && formatAddress(allocated) === address) return true;
  return false;
}

function keyStays(nodeName: string, family: Family): Problem {
  return {
    object: `Node/${nodeName}`,
    reason: KEY_NOT_WITHDRAWN,
    message: `our IPv${family} key may still be there, so that others send into a tunnel that is no more: the cluster did not take the change; see the log`,
  };
}
