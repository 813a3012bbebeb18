/**
 * Claims a block of addresses for this node (docs/reference/calico-felix.md#ipam-objects,
 * #tunnel-addresses): creates a `pending` affinity, then the block, then marks the affinity
 * `confirmed`. If another node takes the block first, the affinity is removed. A claim that an
 * interrupted agent left pending is completed before a new claim starts.
 */
import { formatPrefix, makePrefix, type Prefix, parsePrefix } from '../../../base/prefix.ts';
import { type Block, containsAddress, nameOfCidr, newBlock, parseBlock } from './block.ts';
import { affinityName, hasLabels, isDeleted, withLabels } from './block-affinity.ts';
import type { Pool } from './pool.ts';
import { type IpamObject, type IpamPort, isConflict } from './port.ts';

export interface BlockClaim {
  readonly ipam: IpamPort;
  readonly node: string;
  readonly pools: readonly Pool[];
  /** All existing blocks. */
  readonly blocks: readonly Block[];
  isFree(address: Uint8Array): boolean;
  /** Milliseconds since 1970. */
  readonly now: number;
}

/** Upper bound of the candidates to try in each pool. */
const MAX_CANDIDATES = 1 << 16;

/**
 * Claims one block and returns true, or returns false if no block can be claimed.
 * @throws a conflict if another writer was faster; the caller reads everything again
 */
export async function claimBlock(claim: BlockClaim): Promise<boolean> {
  const { ipam, node, pools, blocks } = claim;
  const affinities = await ownAffinities(claim);
  for (const affinity of affinities) {
    const cidr = cidrOf(affinity);
    if (!cidr || !poolOf(pools, cidr)) continue;
    const existing = blocks.find(block => formatPrefix(block.cidr) === formatPrefix(cidr));
    if (!existing) return completeClaim(claim, affinity, cidr);
    if (affinity.spec?.['state'] === 'pendingDeletion') continue;
    if (existing.affinity !== `host:${node}` && affinity.spec?.['state'] === 'pending')
      await ipam.remove('BlockAffinity', affinity);
  }
  const config = await ipam.get('IPAMConfig', 'default');
  const maxBlocks = config?.spec?.['maxBlocksPerHost'];
  if (config?.spec?.['autoAllocateBlocks'] === false) return false;
  if (typeof maxBlocks === 'number' && maxBlocks > 0 && affinities.length >= maxBlocks) return false;
  for (const pool of pools) {
    const cidr = findFreeBlock(pool, claim);
    if (!cidr) continue;
    const spec = {
      cidr: formatPrefix(cidr),
      node,
      type: 'host',
      state: 'pending',
      deleted: (await ipam.group()) === 'v3' ? false : 'false',
    };
    const metadata = { name: affinityName(node, nameOfCidr(cidr)) };
    const affinity = await ipam.create('BlockAffinity', withLabels({ metadata, spec }));
    return completeClaim(claim, affinity, cidr);
  }
  return false;
}

/**
 * Confirms affinities that an interrupted agent left `pending`, and adds labels to affinities that
 * an older version wrote without them.
 */
export async function confirmClaims(claim: Pick<BlockClaim, 'ipam' | 'node' | 'blocks'>): Promise<void> {
  const { ipam, node, blocks } = claim;
  for (const affinity of await ownAffinities(claim)) {
    const { cidr, state } = affinity.spec ?? {};
    const isHeld = blocks.some(block => formatPrefix(block.cidr) === cidr && block.affinity === `host:${node}`);
    if (state === 'pending' && isHeld) await ipam.replace('BlockAffinity', confirmed(affinity));
    else if (!hasLabels(affinity)) await ipam.replace('BlockAffinity', withLabels(affinity));
  }
}

/** Returns this node's affinities. Removes affinities that are marked as deleted. */
async function ownAffinities({ ipam, node }: Pick<BlockClaim, 'ipam' | 'node'>): Promise<IpamObject[]> {
  const all = await ipam.list('BlockAffinity');
  const own = all.filter(({ spec }) => spec?.['node'] === node && spec['type'] !== 'virtual');
  for (const affinity of own) if (isDeleted(affinity)) await ipam.remove('BlockAffinity', affinity);
  return own.filter(affinity => !isDeleted(affinity));
}

function confirmed(affinity: IpamObject): IpamObject {
  return withLabels({ ...affinity, spec: { ...affinity.spec, state: 'confirmed' } });
}

/**
 * Creates the block of a pending affinity, then confirms the affinity. If another node was faster,
 * removes the affinity.
 */
async function completeClaim({ ipam, node, now }: BlockClaim, affinity: IpamObject, cidr: Prefix): Promise<boolean> {
  try {
    await ipam.create('IPAMBlock', newBlock(cidr, `host:${node}`, now));
  } catch (error) {
    if (!isConflict(error)) throw error;
    const existing = await ipam.get('IPAMBlock', nameOfCidr(cidr));
    if (!existing) throw error;
    if (parseBlock(existing)?.affinity !== `host:${node}`) {
      await ipam.remove('BlockAffinity', affinity);
      throw error;
    }
  }
  await ipam.replace('BlockAffinity', confirmed(affinity));
  return true;
}

/**
 * Returns a free block. Each node starts its search at a different block, so nodes rarely pick the
 * same one.
 */
function findFreeBlock({ cidr, blockSize }: Pool, { node, blocks, isFree }: BlockClaim): Prefix | undefined {
  const count = 2 ** Math.min(blockSize - cidr.length, 30);
  const start = hash(node) % count;
  for (let i = 0; i < Math.min(count, MAX_CANDIDATES); i++) {
    const candidate = nthBlock(cidr, blockSize, (start + i) % count);
    const isTaken = blocks.some(
      block => containsAddress(block.cidr, candidate.address) || containsAddress(candidate, block.cidr.address),
    );
    if (!isTaken && isFree(candidate.address)) return candidate;
  }
  return undefined;
}

function nthBlock({ address }: Prefix, length: number, n: number): Prefix {
  const result = address.slice();
  // Add n, shifted left by the number of host bits in a block.
  let value = BigInt(n) << BigInt(address.length * 8 - length);
  for (let i = result.length - 1; value > 0n; i--) {
    value += BigInt(result[i]!);
    result[i] = Number(value & 0xffn);
    value >>= 8n;
  }
  return makePrefix(result, length);
}

function hash(text: string): number {
  let value = 0x811c9dc5;
  for (let i = 0; i < text.length; i++) value = Math.imul(value ^ text.charCodeAt(i), 0x01000193) >>> 0;
  return value;
}

function cidrOf({ spec }: IpamObject): Prefix | undefined {
  const text = spec?.['cidr'];
  return typeof text === 'string' ? parsePrefix(text) : undefined;
}

function poolOf(pools: readonly Pool[], { address }: Prefix): Pool | undefined {
  return pools.find(({ cidr }) => containsAddress(cidr, address));
}
