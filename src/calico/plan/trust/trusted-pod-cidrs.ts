/**
 * Decides which podCIDRs are believed, with host-local IPAM. The cluster's controller manager
 * assigns them, and a kubelet can choose its own only when it registers its Node. Hence Nodes count
 * in order of their age, which no Node can change: a podCIDR that overlaps an older Node's is
 * refused. A podCIDR outside every IPPool has nothing else that vouches for it. It is also refused
 * if it is wider than any cluster needs, or if it contains an address of an older Node.
 */

import { formatPrefix, makePrefix, type Prefix, prefixKey } from '../../../base/prefix.ts';
import { oldestFirst } from '../../model/age.ts';
import type { ClusterNode } from '../../model/cluster.ts';
import { quoted, type Refusal } from '../../model/problem.ts';
import { hostAddresses } from '../peers/node-addresses.ts';
import type { PoolRanges } from './pool-ranges.ts';

/** The widest podCIDR outside every IPPool, by the bytes of an address. */
const SHORTEST: Readonly<Record<number, number>> = { 4: 12, 16: 40 };
/** Marks a prefix that several nodes share. */
const SEVERAL = '';

type Owners = Map<number | string, string>;

export class TrustedPodCidrs {
  #nodes: ReadonlyMap<string, ClusterNode> | undefined;
  #pools: PoolRanges | undefined;
  #state = '';
  /** Owners of believed podCIDRs, by the bytes of an address, by length. */
  #owners: Readonly<Record<number, Map<number, Owners>>> = { 4: new Map(), 16: new Map() };
  #refusals = new Map<string, ReadonlyMap<string, Refusal>>();

  /** Judges the podCIDRs of all Nodes. @returns whether any is judged differently than before */
  update(nodes: ReadonlyMap<string, ClusterNode>, pools: PoolRanges): boolean {
    if (nodes === this.#nodes && pools === this.#pools) return false;
    this.#nodes = nodes;
    this.#pools = pools;
    const sorted = oldestFirst(nodes.values());
    const outside = (prefix: Prefix): boolean => !pools.contains(prefix);
    const lengths = lengthsOf(sorted, () => true);
    const hosts = new Covers(lengthsOf(sorted, outside));
    const inner = new Covers(lengths);
    this.#owners = { 4: new Map(), 16: new Map() };
    this.#refusals = new Map();
    let state = '';
    for (const node of sorted) {
      for (const prefix of node.podCidrs) {
        const refusal = this.#judge(node.name, prefix, { outside, inner, hosts });
        state += `${node.name} ${formatPrefix(prefix)} ${refusal?.message ?? ''}\n`;
        if (refusal) {
          const known = this.#refusals.get(node.name) ?? [];
          this.#refusals.set(node.name, new Map([...known, [formatPrefix(prefix), refusal]]));
          continue;
        }
        inner.add(prefix, node.name);
        const owners = this.#owners[prefix.address.length]!;
        owners.set(prefix.length, (owners.get(prefix.length) ?? new Map()).set(prefixKey(prefix), node.name));
      }
      for (const address of hostAddresses(node)) hosts.add({ address, length: address.length * 8 }, node.name);
    }
    const isChanged = state !== this.#state;
    this.#state = state;
    return isChanged;
  }

  refusal(node: string, podCidr: Prefix): Refusal | undefined {
    return this.#refusals.get(node)?.get(formatPrefix(podCidr));
  }

  /** Returns the node whose believed podCIDR contains the address. */
  ownerOf(address: Uint8Array): string | undefined {
    return this.#enclosing({ address, length: address.length * 8 });
  }

  #judge(
    node: string,
    prefix: Prefix,
    { outside, inner, hosts }: { outside: (prefix: Prefix) => boolean; inner: Covers; hosts: Covers },
  ): Refusal | undefined {
    const other = this.#enclosing(prefix) ?? inner.within(prefix);
    if (other !== undefined && other !== node)
      return refuse(
        `overlaps the podCIDR of ${other === SEVERAL ? 'other nodes' : `node ${quoted(other)}`}, which is older`,
      );
    if (!outside(prefix)) return undefined;
    if (prefix.length < SHORTEST[prefix.address.length]!)
      return refuse('lies in no IPPool and is wider than the pods of a node need');
    const host = hosts.within(prefix);
    if (host === undefined || host === node) return undefined;
    return refuse(
      `lies in no IPPool and contains the address of ${host === SEVERAL ? 'other nodes' : `node ${quoted(host)}`}, which is older`,
    );
  }

  #enclosing({ address, length }: Prefix): string | undefined {
    for (const [outer, owners] of this.#owners[address.length]!) {
      const owner = outer <= length ? owners.get(prefixKey(makePrefix(address, outer))) : undefined;
      if (owner !== undefined) return owner;
    }
    return undefined;
  }
}

/** Finds prefixes within others, for a few lengths that are known in advance. */
class Covers {
  readonly #lengths: Readonly<Record<number, readonly number[]>>;
  readonly #owners: Readonly<Record<number, Map<number, Owners>>> = { 4: new Map(), 16: new Map() };

  constructor(lengths: Readonly<Record<number, readonly number[]>>) {
    this.#lengths = lengths;
  }

  add({ address, length }: Prefix, owner: string): void {
    const maps = this.#owners[address.length]!;
    for (const outer of this.#lengths[address.length]!) {
      if (outer > length) continue;
      const owners = maps.get(outer) ?? new Map<number | string, string>();
      maps.set(outer, owners);
      const key = prefixKey(makePrefix(address, outer));
      const known = owners.get(key);
      owners.set(key, known === undefined || known === owner ? owner : SEVERAL);
    }
  }

  /** Returns the owner of what was added within the prefix, whose length must be a known one. */
  within(prefix: Prefix): string | undefined {
    return this.#owners[prefix.address.length]!.get(prefix.length)?.get(prefixKey(prefix));
  }
}

function lengthsOf(
  nodes: readonly ClusterNode[],
  isCounted: (prefix: Prefix) => boolean,
): Readonly<Record<number, readonly number[]>> {
  const found: Record<number, Set<number>> = { 4: new Set(), 16: new Set() };
  for (const { podCidrs } of nodes)
    for (const prefix of podCidrs) {
      const lengths = found[prefix.address.length]!;
      if (!lengths.has(prefix.length) && isCounted(prefix)) lengths.add(prefix.length);
    }
  return { 4: [...found[4]!], 16: [...found[16]!] };
}

function refuse(why: string): Refusal {
  return {
    reason: 'UnbelievedPodCIDR',
    message: `a podCIDR of this Node, ${why}; the agent does not route it: see who registered the Node, and register it again without spec.podCIDRs`,
  };
}
