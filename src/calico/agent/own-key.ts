/**
 * Publishes and withdraws our key of one family on our Node and, with `--allocate`, the tunnel's
 * address. The address is set after the key is published and released after the key is withdrawn
 * (docs/reference/calico-felix.md#tunnel-addresses). Newer versions of Calico send no plaintext to
 * a Node that has a tunnel address but no key (docs/reference/calico-felix.md#bgp).
 *
 * The methods never throw or reject: failures become Problems, and the next turn retries.
 */
import { formatAddress } from '../../base/address.ts';
import type { Family } from '../../base/family.ts';
import { formatKeyBase64 } from '../../base/key.ts';
import { ADDRESS_ANNOTATION } from '../model/annotations.ts';
import type { Cluster, ClusterNode, IpPool } from '../model/cluster.ts';
import type { Problem } from '../model/problem.ts';
import type { Allocation } from '../publish/ipam/allocator.ts';
import type { AgentDependencies } from './dependencies.ts';

/** Reasons of transient problems. A turn that reports one of them is retried soon. */
export const KEY_NOT_WITHDRAWN = 'KeyNotWithdrawn';
export const ADDRESS_NOT_ALLOCATED = 'AddressNotAllocated';
/**
 * Time limit for the first withdrawal of a key while the cluster does not answer. Later attempts do
 * not wait.
 */
const WITHDRAW_TIMEOUT_MS = 10_000;

export interface OwnKeyOptions {
  readonly family: Family;
  readonly nodeName: string;
  readonly dependencies: Pick<AgentDependencies, 'publisher' | 'allocator' | 'machine'>;
  /** Returns our Node as last seen. */
  ownNode(): ClusterNode | undefined;
}

/** The inputs and the result of the allocator's last `ensure` call. */
interface Ensured {
  readonly labels: string;
  readonly pools: ReadonlyMap<string, IpPool>;
  /** The Node's annotation before that call. */
  readonly annotatedBefore: string | undefined;
  readonly address: string | undefined;
  /** Whether the Node has been seen with this address since then. */
  wasSeen: boolean;
  readonly problem?: Problem;
}

export class OwnKey {
  readonly #options: OwnKeyOptions;
  #publicKey: Uint8Array | undefined;
  /** True if the Node has neither our key nor our address. */
  #isWithdrawn = false;
  #withdrawal: Promise<Problem | undefined> | undefined;
  #hasTimedOut = false;
  #ensured: Ensured | undefined;
  /** The last IPAM request; requests run one after the other. */
  #allocation: Promise<unknown> = Promise.resolve();

  constructor(options: OwnKeyOptions) {
    this.#options = options;
  }

  /**
   * The public key of this node's stored private key; undefined until the key file has been read.
   */
  get publicKey(): Uint8Array | undefined {
    return this.#publicKey;
  }

  get isPublished(): boolean {
    return this.#options.dependencies.publisher.isPublished(this.#options.family);
  }

  /**
   * Rereads the key file. Unreadable key files are reported by the applier.
   * @returns true if the key changed
   */
  reload(): boolean {
    const before = this.#publicKey;
    try {
      this.#publicKey = this.#options.dependencies.machine.ownPublicKey(this.#options.family) ?? before;
    } catch {
      return false;
    }
    return textOf(before) !== textOf(this.#publicKey);
  }

  publish(publicKey: string): void {
    this.#withdrawal = undefined;
    this.#isWithdrawn = false;
    this.#hasTimedOut = false;
    this.#options.dependencies.publisher.publish(this.#options.family, publicKey);
  }

  /**
   * Withdraws the key, then the address. Resolves once the Node no longer has our key, or on
   * timeout.
   */
  withdraw(): Promise<Problem | undefined> {
    if (this.#isWithdrawn) return Promise.resolve(undefined);
    if (this.#withdrawal) return this.#withdrawal;
    const withdrawal = this.#withdrawKeyAndAddress(() => this.#withdrawal === withdrawal);
    this.#withdrawal = withdrawal;
    return withdrawal;
  }

  /**
   * Allocates the tunnel's address if needed. @param full also checks the allocation if no input
   * changed
   */
  async ensureAddress(cluster: Cluster, full: boolean): Promise<Problem | undefined> {
    const { family, nodeName, dependencies } = this.#options;
    const own = cluster.nodes.get(nodeName);
    if (!dependencies.allocator || !own || !this.isPublished) return undefined;
    const annotated = own.annotations[ADDRESS_ANNOTATION[family]];
    const labels = JSON.stringify(own.labels);
    const known = this.#ensured;
    if (known && known.labels === labels && known.pools === cluster.ipPools) {
      const isAnnotated = annotated !== undefined && annotated === known.address;
      if (isAnnotated) known.wasSeen = true;
      // The cache shows our own write to the Node only after a delay.
      const lags = !known.wasSeen && annotated === known.annotatedBefore;
      if (full ? isAnnotated && isAllocated(cluster, nodeName, annotated) : isAnnotated || lags) return known.problem;
    }
    const { address, problem } = await this.#allocate(({ ensure }) => ensure(family, annotated));
    this.#ensured = {
      labels,
      pools: cluster.ipPools,
      annotatedBefore: annotated,
      wasSeen: false,
      address: address && formatAddress(address),
      ...(problem && { problem }),
    };
    return problem;
  }

  /** @param isCurrent returns false once `publish` or a later withdrawal has superseded this one */
  async #withdrawKeyAndAddress(isCurrent: () => boolean): Promise<Problem | undefined> {
    const { family, nodeName, dependencies } = this.#options;
    const ours = textOf(this.#publicKey);
    const timeoutMs = this.#hasTimedOut ? 0 : WITHDRAW_TIMEOUT_MS;
    const isGone = await dependencies.publisher.withdraw(family, {
      timeoutMs,
      ...(ours !== undefined && { previousKey: ours }),
    });
    if (!isCurrent()) return undefined;
    this.#hasTimedOut = !isGone;
    const problem = isGone ? await this.#release(ours, isCurrent) : keyNotWithdrawn(nodeName, family);
    if (!isCurrent()) return undefined;
    this.#withdrawal = undefined;
    this.#isWithdrawn = problem === undefined;
    return problem;
  }

  /**
   * Releases the address, unless the Node carries another key. The address then belongs to the
   * owner of that key, because Felix allocates under the same handle as we do.
   */
  async #release(ours: string | undefined, isCurrent: () => boolean): Promise<Problem | undefined> {
    const { family, dependencies, ownNode } = this.#options;
    if (!dependencies.allocator) return undefined;
    this.#ensured = undefined;
    const { problem } = await this.#allocate(async ({ release }): Promise<Allocation> => {
      const own = ownNode();
      const key = own?.publicKey[family];
      if (!isCurrent() || (key !== undefined && key !== ours)) return {};
      return release(family, own?.annotations[ADDRESS_ANNOTATION[family]]);
    });
    return problem;
  }

  #allocate(
    action: (allocator: NonNullable<AgentDependencies['allocator']>) => Promise<Allocation>,
  ): Promise<Allocation> {
    const { nodeName, dependencies } = this.#options;
    const allocator = dependencies.allocator!;
    const bound = {
      ensure: allocator.ensure.bind(allocator),
      release: allocator.release.bind(allocator),
    };
    const result = this.#allocation
      .then(() => action(bound))
      .catch((error: unknown): Allocation => {
        const message = `cannot allocate or release the tunnel's address: ${(error as Error).message}`;
        return { problem: { object: `Node/${nodeName}`, reason: ADDRESS_NOT_ALLOCATED, message } };
      });
    this.#allocation = result;
    return result;
  }
}

function textOf(key: Uint8Array | undefined): string | undefined {
  return key && formatKeyBase64(key);
}

/** Returns whether the known IPAM blocks allocate this address to our node. */
function isAllocated(cluster: Cluster, nodeName: string, address: string | undefined): boolean {
  for (const { allocations } of cluster.ipamBlocks.values())
    for (const { node, address: allocated } of allocations)
      if (node === nodeName && formatAddress(allocated) === address) return true;
  return false;
}

function keyNotWithdrawn(nodeName: string, family: Family): Problem {
  return {
    object: `Node/${nodeName}`,
    reason: KEY_NOT_WITHDRAWN,
    message: `the cluster did not accept the removal of our IPv${family} key, so other nodes may still send into a tunnel that no longer exists; see the log`,
  };
}
