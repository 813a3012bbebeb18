/**
 * Assigns the WireGuard device an address from Calico's IPAM
 * (docs/reference/calico-felix.md#tunnel-addresses), for clusters where Calico's `allocateip` does
 * not. The allocator keeps an address that is already ours and whose pool may still be used.
 * Otherwise it takes a free address from a block of this node. If the node's blocks are full, it
 * claims another block. It never borrows from other nodes' blocks.
 *
 * Every write requires the resourceVersion that was read, so two writers cannot get the same
 * address: the slower writer reads again. As in Calico, the handle is written before the address,
 * and the affinity before the block. After an interruption, the next run therefore completes or
 * reuses what was written.
 */
import { formatAddress } from '../../../base/address.ts';
import type { Family } from '../../../base/family.ts';
import { formatPrefix, parsePrefix } from '../../../base/prefix.ts';
import { ADDRESS_ANNOTATION } from '../../model/annotations.ts';
import { type Problem, quoted } from '../../model/problem.ts';
import type { NodePatcher } from '../publisher.ts';
import {
  addressOf,
  assign,
  attributesOf,
  type Block,
  containsAddress,
  ordinalOf,
  ordinalsOf,
  parseBlock,
  release,
} from './block.ts';
import { claimBlock, confirmClaims } from './block-claim.ts';
import { type Pool, tunnelPools } from './pool.ts';
import { type IpamPort, isConflict } from './port.ts';

const HANDLE = { 4: 'wireguard-tunnel-addr-', 6: 'wireguard-v6-tunnel-addr-' } as const;
const TYPE = { 4: 'wireguardTunnelAddress', 6: 'wireguardV6TunnelAddress' } as const;
const MAX_ATTEMPTS = 30;

export interface AllocatorOptions {
  readonly node: string;
  readonly ipam: IpamPort;
  readonly api: NodePatcher;
  /** Returns whether a pool's nodeSelector selects this node. */
  matches(nodeSelector: string): boolean;
  /** Waits between two attempts after a conflict. */
  pause(attempt: number): Promise<void>;
  /** Milliseconds since 1970. */
  now(): number;
  log(text: string): void;
}

export interface Allocation {
  readonly address?: Uint8Array;
  readonly problem?: Problem;
}

export class AddressAllocator {
  readonly #options: AllocatorOptions;

  constructor(options: AllocatorOptions) {
    this.#options = options;
  }

  /**
   * Ensures that this node has a tunnel address, and writes it to the Node's annotation. Call it
   * once the key is published, and whenever pools or the Node change. Idempotent.
   * @param annotated the address in the Node's annotation
   */
  async ensure(family: Family, annotated: string | undefined): Promise<Allocation> {
    return this.#reportErrors(family, async () => {
      const pools = tunnelPools(await this.#options.ipam.list('IPPool'), family, selector =>
        this.#options.matches(selector),
      );
      const current = await this.#currentAddress(family, pools, annotated);
      if (current) {
        await this.#confirmClaims(family);
        await this.#annotate(family, annotated, current);
        return { address: current };
      }
      await this.#releaseAddresses(family);
      if (pools.length === 0)
        return this.#problem(
          'NoIPPool',
          `no IPv${family} IPPool can provide the tunnel address of ${quoted(this.#options.node)}, so its tunnel has none; enable a pool whose nodeSelector matches the node and whose allowedUses is empty or contains Tunnel`,
        );
      const address = await this.#assign(family, pools);
      if (!address)
        return this.#problem(
          'NoFreeAddress',
          `no IPv${family} address is free for the tunnel in ${pools.map(({ name }) => name).join(', ')}, and no block can be claimed there; release addresses or add a pool`,
        );
      try {
        await this.#annotate(family, annotated, address);
      } catch (error) {
        await this.#releaseAddresses(family);
        throw error;
      }
      this.#options.log(`node ${this.#options.node}: assigned tunnel address ${formatAddress(address)} from IPAM`);
      return { address };
    });
  }

  /**
   * Removes the annotation, then releases the address. Call it once the key is withdrawn.
   * Idempotent.
   */
  async release(family: Family, annotated: string | undefined): Promise<Allocation> {
    return this.#reportErrors(family, async () => {
      if (annotated !== undefined)
        await this.#options.api.patchNode(this.#options.node, { [ADDRESS_ANNOTATION[family]]: null });
      await this.#releaseAddresses(family);
      return {};
    });
  }

  /**
   * Returns the address that this node already holds in one of the pools and releases its other
   * addresses. Prefers the annotated address.
   */
  async #currentAddress(
    family: Family,
    pools: readonly Pool[],
    annotated: string | undefined,
  ): Promise<Uint8Array | undefined> {
    const { node } = this.#options;
    const held = (await this.#blocks(family)).flatMap(block =>
      block.allocations.flatMap((_, ordinal) => {
        const { secondary, releasedAt } = attributesOf(block, ordinal) ?? {};
        if (releasedAt !== undefined || secondary?.['node'] !== node || secondary['type'] !== TYPE[family]) return [];
        const address = addressOf(block, ordinal);
        return pools.some(({ cidr }) => containsAddress(cidr, address)) ? [address] : [];
      }),
    );
    const current = held.find(address => formatAddress(address) === annotated) ?? held[0];
    if (current && held.length > 1) await this.#releaseAddresses(family, current);
    return current;
  }

  /** Assigns a free address, claiming blocks as needed; returns undefined if none is free. */
  async #assign(family: Family, pools: readonly Pool[]): Promise<Uint8Array | undefined> {
    const { ipam, node, pause, now } = this.#options;
    const reserved = (await ipam.list('IPReservation')).flatMap(({ spec }) =>
      (Array.isArray(spec?.['reservedCIDRs']) ? spec['reservedCIDRs'] : []).flatMap(
        text => parsePrefix(String(text)) ?? [],
      ),
    );
    const isFree = (address: Uint8Array): boolean => !reserved.some(prefix => containsAddress(prefix, address));
    for (let attempt = 0; attempt < MAX_ATTEMPTS; attempt++) {
      if (attempt > 0) await pause(attempt);
      const blocks = await this.#blocks(family);
      const ownBlocks = blocks.filter(
        ({ affinity, cidr, deleted }) =>
          !deleted && affinity === `host:${node}` && pools.some(pool => containsAddress(pool.cidr, cidr.address)),
      );
      const free = ownBlocks
        .map(block => ({ block, ordinal: block.unallocated.find(each => isFree(addressOf(block, each))) }))
        .find(({ ordinal }) => ordinal !== undefined);
      try {
        await confirmClaims({ ipam, node, blocks });
        if (free) return await this.#assignOrdinal(family, free.block, free.ordinal!);
        if (!(await claimBlock({ ipam, node, pools, blocks, isFree, now: now() }))) return undefined;
      } catch (error) {
        if (!isConflict(error)) throw error;
      }
    }
    throw new Error(`other nodes took the address first ${MAX_ATTEMPTS} times`);
  }

  /** Completes claims that an earlier run left pending; after a conflict, the next call retries. */
  async #confirmClaims(family: Family): Promise<void> {
    const { ipam, node } = this.#options;
    try {
      await confirmClaims({ ipam, node, blocks: await this.#blocks(family) });
    } catch (error) {
      if (!isConflict(error)) throw error;
    }
  }

  async #assignOrdinal(family: Family, block: Block, ordinal: number): Promise<Uint8Array> {
    const { ipam, node } = this.#options;
    const handle = HANDLE[family] + node;
    await this.#writeHandle(handle, formatPrefix(block.cidr));
    const secondary = { node, type: TYPE[family] };
    await ipam.replace('IPAMBlock', assign(block, ordinal, { handle_id: handle, secondary }));
    return addressOf(block, ordinal);
  }

  /**
   * Releases all addresses that this node's handle holds, and removes the handle.
   * @param except an address to keep; the handle is then kept too
   */
  async #releaseAddresses(family: Family, except?: Uint8Array): Promise<void> {
    const { ipam, node, pause } = this.#options;
    const handle = HANDLE[family] + node;
    for (let attempt = 0; ; attempt++)
      try {
        for (const block of await this.#blocks(family)) {
          const kept = except && ordinalOf(block, except);
          const ordinals = ordinalsOf(block, handle).filter(ordinal => ordinal !== kept);
          if (ordinals.length > 0) await ipam.replace('IPAMBlock', release(block, ordinals));
        }
        const object = except ? undefined : await ipam.get('IPAMHandle', handle);
        if (object) await ipam.remove('IPAMHandle', object);
        return;
      } catch (error) {
        if (!isConflict(error) || attempt === MAX_ATTEMPTS) throw error;
        await pause(attempt);
      }
  }

  /**
   * Writes the handle, which belongs to this node and has one address. The counter is set rather
   * than incremented, so that it stays right after an interruption.
   */
  async #writeHandle(handle: string, cidr: string): Promise<void> {
    const { ipam } = this.#options;
    const existing = await ipam.get('IPAMHandle', handle);
    const spec = { handleID: handle, block: { [cidr]: 1 }, deleted: false };
    if (!existing) await ipam.create('IPAMHandle', { metadata: { name: handle.toLowerCase() }, spec });
    else if (JSON.stringify(existing.spec?.['block']) !== JSON.stringify(spec.block))
      await ipam.replace('IPAMHandle', { ...existing, spec: { ...existing.spec, ...spec } });
  }

  async #blocks(family: Family): Promise<Block[]> {
    const objects = await this.#options.ipam.list('IPAMBlock');
    return objects
      .flatMap(object => parseBlock(object) ?? [])
      .filter(({ cidr }) => cidr.address.length === (family === 4 ? 4 : 16));
  }

  async #annotate(family: Family, annotated: string | undefined, address: Uint8Array): Promise<void> {
    const text = formatAddress(address);
    if (annotated !== text)
      await this.#options.api.patchNode(this.#options.node, { [ADDRESS_ANNOTATION[family]]: text });
  }

  /** Runs an action and turns an error into a Problem. */
  async #reportErrors(family: Family, action: () => Promise<Allocation>): Promise<Allocation> {
    try {
      return await action();
    } catch (error) {
      return this.#problem(
        'AddressNotAllocated',
        `cannot assign or release the tunnel's IPv${family} address: ${(error as Error).message}`,
      );
    }
  }

  #problem(reason: string, message: string): Allocation {
    return { problem: { object: `Node/${this.#options.node}`, reason, message } };
  }
}
