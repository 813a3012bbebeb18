/** In-memory IPAM for one test, with allocators of several nodes, in one family. */
import { beforeEach, expect } from 'vitest';
import { formatAddress } from '../../../../src/base/address.ts';
import type { Family } from '../../../../src/base/family.ts';
import { parsePrefix } from '../../../../src/base/prefix.ts';
import { ADDRESS_ANNOTATION } from '../../../../src/calico/model/annotations.ts';
import { AddressAllocator, type Allocation } from '../../../../src/calico/publish/ipam/allocator.ts';
import { newBlock, parseBlock } from '../../../../src/calico/publish/ipam/block.ts';
import { withLabels } from '../../../../src/calico/publish/ipam/block-affinity.ts';
import { FakeIpam } from './fake-ipam.ts';

export const CIDR = { 4: '10.42.0.0/24', 6: 'fd42::/120' } as const;
export const BLOCK = {
  4: { size: 26, cidr: '10.42.0.64/26', name: '10-42-0-64-26' },
  6: { size: 122, cidr: 'fd42::40/122', name: 'fd42--40-122' },
} as const;
export const HANDLE = { 4: 'wireguard-tunnel-addr-n1', 6: 'wireguard-v6-tunnel-addr-n1' } as const;
export const TYPE = { 4: 'wireguardTunnelAddress', 6: 'wireguardV6TunnelAddress' } as const;

/** Creation time of new blocks. */
export const NOW = Date.UTC(2026, 10, 28, 12, 0, 57, 863);

export class AllocatorScene {
  ipam = new FakeIpam();
  /** Annotations by node. */
  annotations: Record<string, Record<string, string>> = {};
  refusePatch = false;
  readonly #family: Family;

  constructor(family: Family) {
    this.#family = family;
    beforeEach(() => {
      this.reset();
      this.refusePatch = false;
    });
  }

  reset(): void {
    this.ipam = new FakeIpam();
    this.annotations = {};
  }

  annotated(node = 'n1'): string | undefined {
    return this.annotations[node]?.[ADDRESS_ANNOTATION[this.#family]];
  }

  ensure(node = 'n1'): Promise<Allocation> {
    return this.#allocator(node).ensure(this.#family, this.annotated(node));
  }

  release(node = 'n1'): Promise<Allocation> {
    return this.#allocator(node).release(this.#family, this.annotated(node));
  }

  text({ address, problem }: Allocation): string {
    expect(problem).toBeUndefined();
    return formatAddress(address!);
  }

  pool(change: Record<string, unknown> = {}, name = 'pool'): void {
    this.ipam.pool(name, { cidr: CIDR[this.#family], blockSize: BLOCK[this.#family].size, ...change });
  }

  /** Adds a block of node n1. */
  ownBlock(): void {
    const { cidr, name } = BLOCK[this.#family];
    this.ipam.put('IPAMBlock', newBlock(parsePrefix(cidr)!, 'host:n1', NOW));
    const spec = { cidr, node: 'n1', type: 'host', state: 'confirmed', deleted: 'false' };
    this.ipam.put('BlockAffinity', withLabels({ metadata: { name: `n1-${name}` }, spec }));
  }

  /** Returns the addresses that the node's handle holds in all blocks. */
  held(node: string): string[] {
    const handle = HANDLE[this.#family].replace(/n1$/, node);
    return this.ipam.names('IPAMBlock').flatMap(name => {
      const block = parseBlock(this.ipam.objects.get(`IPAMBlock/${name}`)!)!;
      return block.allocations.flatMap((index, ordinal) => {
        if (index === null || block.attributes[index]?.handle_id !== handle) return [];
        const address = block.cidr.address.slice();
        address[address.length - 1]! += ordinal;
        return [formatAddress(address)];
      });
    });
  }

  #allocator(node: string): AddressAllocator {
    return new AddressAllocator({
      node,
      ipam: this.ipam,
      api: {
        patchNode: async (name, patch) => {
          if (this.refusePatch) throw new Error('503');
          const own = { ...this.annotations[name] };
          this.annotations[name] = own;
          for (const [key, value] of Object.entries(patch))
            if (value === null) delete own[key];
            else own[key] = value;
        },
      },
      matches: selector => selector === 'all()' || selector === 'mine',
      pause: async () => {},
      now: () => NOW,
      log: () => {},
    });
  }
}
