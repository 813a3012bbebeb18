/**
 * A block of addresses as IPAM keeps it (docs/reference/calico-felix.md#ipam-objects): for each ordinal, who has it, as an index into a list of attributes. Pure: each change
 * makes a new object, with all that we do not know of it as it was.
 */
import { addressAt, covers, formatPrefix, type Prefix, parsePrefix } from '../../../base/prefix.ts';
import { type AnyNumber, exactNumber } from '../../model/exact-number.ts';
import type { IpamObject } from './port.ts';

export interface Block {
  readonly object: IpamObject;
  readonly cidr: Prefix;
  /** `host:<node>`; absent where nobody has it. */
  readonly affinity?: string;
  readonly allocations: readonly (number | null)[];
  readonly unallocated: readonly number[];
  readonly attributes: readonly Attributes[];
  /** Marked by Calico before it is deleted, so that nothing may be taken from it. */
  readonly deleted: boolean;
}

/** Who has an address. */
export interface Attributes {
  readonly handle_id?: string;
  readonly secondary?: Readonly<Record<string, string>>;
  /** Since when the address rests before others may have it: nobody holds it any more. */
  readonly releasedAt?: string;
}

/** 2^20 addresses: no block is nearly as large. */
const LARGEST = 1 << 20;

/** @returns undefined for what is no whole block */
export function parseBlock(object: IpamObject): Block | undefined {
  const { cidr: text, affinity, allocations, unallocated, attributes = [], deleted } = object.spec ?? {};
  const cidr = typeof text === 'string' ? parsePrefix(text) : undefined;
  if (!cidr || !Array.isArray(allocations) || !Array.isArray(unallocated) || !Array.isArray(attributes ?? []))
    return undefined;
  const list = (attributes ?? []) as unknown[];
  const isIndex = (value: unknown, end: number): boolean =>
    Number.isInteger(value) && (value as number) >= 0 && (value as number) < end;
  const whole =
    allocations.length === sizeOf(cidr) &&
    allocations.every(each => each === null || isIndex(each, list.length)) &&
    unallocated.every(each => isIndex(each, allocations.length) && allocations[each as number] === null) &&
    list.every(each => typeof each === 'object' && each !== null);
  if (!whole) return undefined;
  return {
    object,
    cidr,
    ...(typeof affinity === 'string' && affinity !== '' && { affinity }),
    allocations: allocations as (number | null)[],
    unallocated: unallocated as number[],
    attributes: list as Attributes[],
    deleted: deleted === true,
  };
}

/**
 * Its changes are counted from the time that it is made at, in nanoseconds, as Calico does: of a block that was deleted and made again no number comes
 * again. The time of the claim keeps other nodes from taking an empty block for one that nobody needs.
 * @param now milliseconds since 1970
 */
export function newBlock(cidr: Prefix, affinity: string, now: number): IpamObject {
  const size = sizeOf(cidr);
  const allocations = new Array<null>(size).fill(null);
  const spec = {
    cidr: formatPrefix(cidr),
    affinity,
    affinityClaimTime: new Date(now).toISOString().replace(/\.\d+Z$/, 'Z'),
    strictAffinity: false,
    allocations,
    unallocated: allocations.map((_, ordinal) => ordinal),
    attributes: [],
    sequenceNumber: exactNumber(String(BigInt(now) * 1_000_000n)),
    sequenceNumberForAllocation: {},
    deleted: false,
  };
  return { metadata: { name: nameOfCidr(cidr) }, spec };
}

/** `192.168.1.64/26` as a name has it. */
export function nameOfCidr(cidr: Prefix): string {
  return formatPrefix(cidr).replace(/[.:/]/g, '-');
}

export function sizeOf({ address, length }: Prefix): number {
  const bits = address.length * 8 - length;
  return bits > 20 ? LARGEST : 2 ** bits;
}

export function addressOf({ cidr }: Block, ordinal: number): Uint8Array {
  return addressAt(cidr, ordinal);
}

/** @returns undefined if it is not one of the block's */
export function ordinalOf({ cidr }: Block, address: Uint8Array): number | undefined {
  if (!containsAddress(cidr, address)) return undefined;
  let ordinal = 0;
  for (let i = Math.max(0, address.length - 4); i < address.length; i++)
    ordinal = ordinal * 256 + (address[i]! - cidr.address[i]!);
  return ordinal;
}

export function containsAddress(prefix: Prefix, address: Uint8Array): boolean {
  return covers(prefix, { address, length: address.length * 8 });
}

export function attributesOf({ allocations, attributes }: Block, ordinal: number): Attributes | undefined {
  const index = allocations[ordinal];
  return index === null || index === undefined ? undefined : attributes[index];
}

/** Ordinals that this handle has. */
export function ordinalsOf(block: Block, handle: string): number[] {
  return block.allocations.flatMap((_, ordinal) =>
    attributesOf(block, ordinal)?.handle_id === handle ? [ordinal] : [],
  );
}

/** @param ordinal one that is not allocated */
export function assign(block: Block, ordinal: number, attributes: Attributes): IpamObject {
  const { allocations, unallocated, attributes: list } = block;
  return changed(block, {
    allocations: allocations.map((each, i) => (i === ordinal ? list.length : each)),
    unallocated: unallocated.filter(each => each !== ordinal),
    attributes: [...list, attributes],
    ...numbered(block, ordinal),
  });
}

/** Attributes that nobody has any more go, and the others' indexes with them. */
export function release(block: Block, ordinals: readonly number[]): IpamObject {
  const allocations = block.allocations.map((each, ordinal) => (ordinals.includes(ordinal) ? null : each));
  const kept = block.attributes.map((_, index) => index).filter(index => allocations.includes(index));
  const numbers = Object.entries(numbersOf(block)).filter(([ordinal]) => !ordinals.includes(Number(ordinal)));
  return changed(block, {
    allocations: allocations.map(each => (each === null ? null : kept.indexOf(each))),
    // behind all others, so that it is not given out again at once
    unallocated: [...block.unallocated, ...ordinals],
    attributes: kept.map(index => block.attributes[index]),
    ...(isCounted(block) && { sequenceNumberForAllocation: Object.fromEntries(numbers) }),
  });
}

function changed(block: Block, spec: Readonly<Record<string, unknown>>): IpamObject {
  const { object } = block;
  const next = isCounted(block) && { sequenceNumber: exactNumber(String(BigInt(sequenceOf(block)) + 1n)) };
  return { ...object, spec: { ...object.spec, ...spec, ...next } };
}

/** Newer versions note which change an allocation is from, so that a late release of an older one does not end it. */
function numbered(block: Block, ordinal: number): Record<string, unknown> {
  if (!isCounted(block)) return {};
  return { sequenceNumberForAllocation: { ...numbersOf(block), [ordinal]: sequenceOf(block) } };
}

/** Whether the block's changes are counted: Calico did not always. */
function isCounted(block: Block): boolean {
  const { sequenceNumber } = block.object.spec ?? {};
  return typeof sequenceNumber === 'bigint' || Number.isInteger(sequenceNumber);
}

function sequenceOf({ object }: Block): number | bigint {
  return object.spec!['sequenceNumber'] as number | bigint;
}

function numbersOf({ object }: Block): Readonly<Record<string, AnyNumber>> {
  return (object.spec?.['sequenceNumberForAllocation'] ?? {}) as Readonly<Record<string, AnyNumber>>;
}
