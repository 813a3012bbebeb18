/**
 * A new block for this node (docs/reference/calico-felix.md#ipam-objects, #tunnel-addresses): first its affinity, `pending`, then the block itself, then the affinity is `confirmed`. Who finds the
 * block taken meanwhile gives the affinity up. One that a stopped agent left pending is completed before another is begun.
 */
import { formatPrefix, makePrefix, type Prefix, parsePrefix } from '../../../base/prefix.ts';
import { type Block, containsAddress, nameOfCidr, newBlock, parseBlock } from './block.ts';
import { affinityName, isDeleted, isLabelled, labelled } from './block-affinity.ts';
import type { Pool } from './pool.ts';
import { type IpamObject, type IpamPort, isConflict } from './port.ts';

export interface Claim {
  readonly ipam: IpamPort;
  readonly node: string;
  readonly pools: readonly Pool[];
  /** All that there are. */
  readonly blocks: readonly Block[];
  isFree(address: Uint8Array): boolean;
  /** Milliseconds since 1970. */
  readonly now: number;
}

const LOOKS = 1 << 16;

/** @returns false if there is none to be had. @throws a conflict, where somebody was quicker: all is to be read again */
export async function claimBlock(claim: Claim): Promise<boolean> {
  const { ipam, node, pools, blocks } = claim;
  const affinities = await ownAffinities(claim);
  for (const affinity of affinities) {
    const cidr = cidrOf(affinity);
    if (!cidr || !poolOf(pools, cidr)) continue;
    const there = blocks.find(block => formatPrefix(block.cidr) === formatPrefix(cidr));
    if (!there) return complete(claim, affinity, cidr);
    if (affinity.spec?.['state'] === 'pendingDeletion') continue;
    if (there.affinity !== `host:${node}` && affinity.spec?.['state'] === 'pending')
      await ipam.remove('BlockAffinity', affinity);
  }
  const config = await ipam.get('IPAMConfig', 'default');
  const most = config?.spec?.['maxBlocksPerHost'];
  if (config?.spec?.['autoAllocateBlocks'] === false) return false;
  if (typeof most === 'number' && most > 0 && affinities.length >= most) return false;
  for (const pool of pools) {
    const cidr = freeBlock(pool, claim);
    if (!cidr) continue;
    const spec = {
      cidr: formatPrefix(cidr),
      node,
      type: 'host',
      state: 'pending',
      deleted: (await ipam.group()) === 'v3' ? false : 'false',
    };
    const metadata = { name: affinityName(node, nameOfCidr(cidr)) };
    const affinity = await ipam.create('BlockAffinity', labelled({ metadata, spec }));
    return complete(claim, affinity, cidr);
  }
  return false;
}

/** Confirms affinities that a stopped agent left `pending`, and labels those that an older one wrote without labels. */
export async function confirmClaims(claim: Pick<Claim, 'ipam' | 'node' | 'blocks'>): Promise<void> {
  const { ipam, node, blocks } = claim;
  for (const affinity of await ownAffinities(claim)) {
    const { cidr, state } = affinity.spec ?? {};
    const isHeld = blocks.some(block => formatPrefix(block.cidr) === cidr && block.affinity === `host:${node}`);
    if (state === 'pending' && isHeld) await ipam.replace('BlockAffinity', confirmed(affinity));
    else if (!isLabelled(affinity)) await ipam.replace('BlockAffinity', labelled(affinity));
  }
}

/** One that is marked as deleted was left so by whoever deletes it, and goes. */
async function ownAffinities({ ipam, node }: Pick<Claim, 'ipam' | 'node'>): Promise<IpamObject[]> {
  const all = await ipam.list('BlockAffinity');
  const own = all.filter(({ spec }) => spec?.['node'] === node && spec['type'] !== 'virtual');
  for (const affinity of own) if (isDeleted(affinity)) await ipam.remove('BlockAffinity', affinity);
  return own.filter(affinity => !isDeleted(affinity));
}

function confirmed(affinity: IpamObject): IpamObject {
  return labelled({ ...affinity, spec: { ...affinity.spec, state: 'confirmed' } });
}

async function complete({ ipam, node, now }: Claim, affinity: IpamObject, cidr: Prefix): Promise<boolean> {
  try {
    await ipam.create('IPAMBlock', newBlock(cidr, `host:${node}`, now));
  } catch (error) {
    if (!isConflict(error)) throw error;
    const there = await ipam.get('IPAMBlock', nameOfCidr(cidr));
    if (!there) throw error;
    if (parseBlock(there)?.affinity !== `host:${node}`) {
      await ipam.remove('BlockAffinity', affinity);
      throw error;
    }
  }
  await ipam.replace('BlockAffinity', confirmed(affinity));
  return true;
}

/** Nodes begin to look at different places, so that they seldom want the same. */
function freeBlock({ cidr, blockSize }: Pool, { node, blocks, isFree }: Claim): Prefix | undefined {
  const count = 2 ** Math.min(blockSize - cidr.length, 30);
  const start = hash(node) % count;
  for (let i = 0; i < Math.min(count, LOOKS); i++) {
    const candidate = nthBlock(cidr, blockSize, (start + i) % count);
    const taken = blocks.some(
      block => containsAddress(block.cidr, candidate.address) || containsAddress(candidate, block.cidr.address),
    );
    if (!taken && isFree(candidate.address)) return candidate;
  }
  return undefined;
}

function nthBlock({ address }: Prefix, length: number, n: number): Prefix {
  const result = address.slice();
  // n, moved up by what a block has in bits
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
