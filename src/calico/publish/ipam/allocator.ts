/**
 * The address of the WireGuard device from Calico's IPAM (docs/reference/calico-felix.md#tunnel-addresses), where no `allocateip` of Calico's gives one: kept if it is ours and its
 * pool may be used, else a free one of a block that this node has, else of a block that it claims. Left out: borrowing from other nodes' blocks.
 *
 * Everything is written only over what was read (resourceVersion), so that two who want the same address cannot both have it; who loses reads again.
 * The handle is written before the address, and a block's affinity before the block, as Calico does: what a stopped agent left is completed or reused.
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
const ATTEMPTS = 30;

export interface AllocatorOptions {
  readonly node: string;
  readonly ipam: IpamPort;
  readonly api: NodePatcher;
  /** Whether this node is one that a pool's nodeSelector means. */
  matches(nodeSelector: string): boolean;
  /** Between two attempts, where somebody was quicker. */
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
   * To be called once the key is published, and whenever pools or our Node change. Idempotent.
   * @param annotated what our Node says now
   */
  async ensure(family: Family, annotated: string | undefined): Promise<Allocation> {
    return this.#reported(family, async () => {
      const pools = tunnelPools(await this.#options.ipam.list('IPPool'), family, selector =>
        this.#options.matches(selector),
      );
      const kept = await this.#kept(family, pools, annotated);
      if (kept) {
        await this.#confirm(family);
        await this.#annotate(family, annotated, kept);
        return { address: kept };
      }
      await this.#release(family);
      if (pools.length === 0)
        return this.#problem(
          'NoIPPool',
          `no IPv${family} IPPool may be used for the tunnel's address of ${quoted(this.#options.node)}: one must be enabled, its nodeSelector must match, and its allowedUses must be empty or have Tunnel`,
        );
      const address = await this.#assign(family, pools);
      if (!address)
        return this.#problem(
          'NoFreeAddress',
          `no IPv${family} address is free for the tunnel in ${pools.map(({ name }) => name).join(', ')}, and no block can be claimed there`,
        );
      try {
        await this.#annotate(family, annotated, address);
      } catch (error) {
        await this.#release(family);
        throw error;
      }
      this.#options.log(`node ${this.#options.node}: tunnel address ${formatAddress(address)} taken from IPAM`);
      return { address };
    });
  }

  /** The key is gone: the address goes, and its annotation first. Idempotent. */
  async release(family: Family, annotated: string | undefined): Promise<Allocation> {
    return this.#reported(family, async () => {
      if (annotated !== undefined)
        await this.#options.api.patchNode(this.#options.node, { [ADDRESS_ANNOTATION[family]]: null });
      await this.#release(family);
      return {};
    });
  }

  /** What our handle has already, the annotated one before others; only where its pool may be used. Others of ours go. */
  async #kept(family: Family, pools: readonly Pool[], annotated: string | undefined): Promise<Uint8Array | undefined> {
    const { node } = this.#options;
    const held = (await this.#blocks(family)).flatMap(block =>
      block.allocations.flatMap((_, ordinal) => {
        const { secondary, releasedAt } = attributesOf(block, ordinal) ?? {};
        if (releasedAt !== undefined || secondary?.['node'] !== node || secondary['type'] !== TYPE[family]) return [];
        const address = addressOf(block, ordinal);
        return pools.some(({ cidr }) => containsAddress(cidr, address)) ? [address] : [];
      }),
    );
    const [first] = held;
    const kept = held.find(address => formatAddress(address) === annotated) ?? first;
    if (kept && held.length > 1) await this.#release(family, kept);
    return kept;
  }

  async #assign(family: Family, pools: readonly Pool[]): Promise<Uint8Array | undefined> {
    const { ipam, node, pause, now } = this.#options;
    const reserved = (await ipam.list('IPReservation')).flatMap(({ spec }) =>
      (Array.isArray(spec?.['reservedCIDRs']) ? spec['reservedCIDRs'] : []).flatMap(
        text => parsePrefix(String(text)) ?? [],
      ),
    );
    const isFree = (address: Uint8Array): boolean => !reserved.some(prefix => containsAddress(prefix, address));
    for (let attempt = 0; attempt < ATTEMPTS; attempt++) {
      if (attempt > 0) await pause(attempt);
      const blocks = await this.#blocks(family);
      const own = blocks.filter(
        ({ affinity, cidr, deleted }) =>
          !deleted && affinity === `host:${node}` && pools.some(pool => containsAddress(pool.cidr, cidr.address)),
      );
      const found = own
        .map(block => ({ block, ordinal: block.unallocated.find(each => isFree(addressOf(block, each))) }))
        .find(({ ordinal }) => ordinal !== undefined);
      try {
        await confirmClaims({ ipam, node, blocks });
        if (found) return await this.#take(family, found.block, found.ordinal!);
        if (!(await claimBlock({ ipam, node, pools, blocks, isFree, now: now() }))) return undefined;
      } catch (error) {
        if (!isConflict(error)) throw error;
      }
    }
    throw new Error(`others were quicker ${ATTEMPTS} times`);
  }

  /** What an agent before this one left. Where another is at it, the next time does. */
  async #confirm(family: Family): Promise<void> {
    const { ipam, node } = this.#options;
    try {
      await confirmClaims({ ipam, node, blocks: await this.#blocks(family) });
    } catch (error) {
      if (!isConflict(error)) throw error;
    }
  }

  async #take(family: Family, block: Block, ordinal: number): Promise<Uint8Array> {
    const { ipam, node } = this.#options;
    const handle = HANDLE[family] + node;
    await this.#noteHandle(handle, formatPrefix(block.cidr));
    const secondary = { node, type: TYPE[family] };
    await ipam.replace('IPAMBlock', assign(block, ordinal, { handle_id: handle, secondary }));
    return addressOf(block, ordinal);
  }

  /** @param but one that stays */
  async #release(family: Family, but?: Uint8Array): Promise<void> {
    const { ipam, node, pause } = this.#options;
    const handle = HANDLE[family] + node;
    for (let attempt = 0; ; attempt++)
      try {
        for (const block of await this.#blocks(family)) {
          const stays = but && ordinalOf(block, but);
          const ordinals = ordinalsOf(block, handle).filter(ordinal => ordinal !== stays);
          if (ordinals.length > 0) await ipam.replace('IPAMBlock', release(block, ordinals));
        }
        const object = but ? undefined : await ipam.get('IPAMHandle', handle);
        if (object) await ipam.remove('IPAMHandle', object);
        return;
      } catch (error) {
        if (!isConflict(error) || attempt === ATTEMPTS) throw error;
        await pause(attempt);
      }
  }

  /** The handle is ours alone, and has one address: what it says is set, not counted, so that a stopped agent leaves it right. */
  async #noteHandle(handle: string, cidr: string): Promise<void> {
    const { ipam } = this.#options;
    const there = await ipam.get('IPAMHandle', handle);
    const spec = { handleID: handle, block: { [cidr]: 1 }, deleted: false };
    if (!there) await ipam.create('IPAMHandle', { metadata: { name: handle.toLowerCase() }, spec });
    else if (JSON.stringify(there.spec?.['block']) !== JSON.stringify(spec.block))
      await ipam.replace('IPAMHandle', { ...there, spec: { ...there.spec, ...spec } });
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

  async #reported(family: Family, action: () => Promise<Allocation>): Promise<Allocation> {
    try {
      return await action();
    } catch (error) {
      return this.#problem(
        'AddressNotAllocated',
        `the IPv${family} address of the tunnel: ${(error as Error).message}`,
      );
    }
  }

  #problem(reason: string, message: string): Allocation {
    return { problem: { object: `Node/${this.#options.node}`, reason, message } };
  }
}
