/**
 * Reads and changes IPAM blocks (docs/reference/calico-felix.md#ipam-objects). For each ordinal, a
 * block stores an index into a list of attributes, which name the holder. All functions are pure: a
 * change returns a new object and preserves unknown fields.
 */
import { addressAt, covers, formatPrefix, type Prefix, parsePrefix } from '../../../base/prefix.ts';
import { type AnyNumber, exactNumber } from '../../model/exact-number.ts';
import type { IpamObject } from './port.ts';

export interface Block {
  readonly object: IpamObject;
  readonly cidr: Prefix;
  /** `host:<node>`; absent if the block has no owner. */
  readonly affinity?: string;
  readonly allocations: readonly (number | null)[];
  readonly unallocated: readonly number[];
  readonly attributes: readonly Attributes[];
  /**
   * Set by Calico before it deletes the block. From then on, its addresses must not be assigned.
   */
  readonly deleted: boolean;
}

/** Describes the holder of an address. */
export interface Attributes {
  readonly handle_id?: string;
  readonly secondary?: Readonly<Record<string, string>>;
  /**
   * When the address was released. A released address has no holder and is not reassigned for a
   * while.
   */
  readonly releasedAt?: string;
}

/** Upper bound of the addresses in a block, far above any real block's. */
const MAX_SIZE = 1 << 20;

/** Parses a block; returns undefined if the object is incomplete or inconsistent. */
export function parseBlock(object: IpamObject): Block | undefined {
  const { cidr: text, affinity, allocations, unallocated, attributes = [], deleted } = object.spec ?? {};
  const cidr = typeof text === 'string' ? parsePrefix(text) : undefined;
  if (!cidr || !Array.isArray(allocations) || !Array.isArray(unallocated) || !Array.isArray(attributes ?? []))
    return undefined;
  const list = (attributes ?? []) as unknown[];
  const isIndex = (value: unknown, end: number): boolean =>
    Number.isInteger(value) && (value as number) >= 0 && (value as number) < end;
  const isConsistent =
    allocations.length === sizeOf(cidr) &&
    allocations.every(each => each === null || isIndex(each, list.length)) &&
    unallocated.every(each => isIndex(each, allocations.length) && allocations[each as number] === null) &&
    list.every(each => typeof each === 'object' && each !== null);
  if (!isConsistent) return undefined;
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
 * Returns an empty block. As in Calico, its sequence number starts at the current time in
 * nanoseconds, so a block that is deleted and created again never repeats a number. Because of the
 * claim time, other nodes do not reclaim the empty block as unused.
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

/** Returns the object name for a CIDR: `192-168-1-64-26` for `192.168.1.64/26`. */
export function nameOfCidr(cidr: Prefix): string {
  return formatPrefix(cidr).replace(/[.:/]/g, '-');
}

function sizeOf({ address, length }: Prefix): number {
  const bits = address.length * 8 - length;
  return bits > 20 ? MAX_SIZE : 2 ** bits;
}

export function addressOf({ cidr }: Block, ordinal: number): Uint8Array {
  return addressAt(cidr, ordinal);
}

/** Returns the ordinal of an address, or undefined if it lies outside the block. */
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

/** Returns the ordinals that a handle holds. */
export function ordinalsOf(block: Block, handle: string): number[] {
  return block.allocations.flatMap((_, ordinal) =>
    attributesOf(block, ordinal)?.handle_id === handle ? [ordinal] : [],
  );
}

/**
 * Returns the block's object with one more address assigned.
 * @param ordinal must be unallocated
 */
export function assign(block: Block, ordinal: number, attributes: Attributes): IpamObject {
  const { allocations, unallocated, attributes: list } = block;
  return update(block, {
    allocations: allocations.map((each, i) => (i === ordinal ? list.length : each)),
    unallocated: unallocated.filter(each => each !== ordinal),
    attributes: [...list, attributes],
    ...allocationSequence(block, ordinal),
  });
}

/**
 * Returns the block's object without these ordinals. Drops unused attributes and renumbers the
 * others.
 */
export function release(block: Block, ordinals: readonly number[]): IpamObject {
  const allocations = block.allocations.map((each, ordinal) => (ordinals.includes(ordinal) ? null : each));
  const used = block.attributes.map((_, index) => index).filter(index => allocations.includes(index));
  const sequences = Object.entries(sequencesOf(block)).filter(([ordinal]) => !ordinals.includes(Number(ordinal)));
  return update(block, {
    allocations: allocations.map(each => (each === null ? null : used.indexOf(each))),
    // Append, so that the address is not assigned again soon.
    unallocated: [...block.unallocated, ...ordinals],
    attributes: used.map(index => block.attributes[index]),
    ...(hasSequence(block) && { sequenceNumberForAllocation: Object.fromEntries(sequences) }),
  });
}

function update(block: Block, spec: Readonly<Record<string, unknown>>): IpamObject {
  const { object } = block;
  const next = hasSequence(block) && { sequenceNumber: exactNumber(String(BigInt(sequenceOf(block)) + 1n)) };
  return { ...object, spec: { ...object.spec, ...spec, ...next } };
}

/**
 * Records which change made an allocation. Newer Calico versions do this too, so that a late
 * release of an earlier allocation does not free the address.
 */
function allocationSequence(block: Block, ordinal: number): Record<string, unknown> {
  if (!hasSequence(block)) return {};
  return { sequenceNumberForAllocation: { ...sequencesOf(block), [ordinal]: sequenceOf(block) } };
}

/** Returns whether the block has a sequence number. Older Calico versions do not write one. */
function hasSequence(block: Block): boolean {
  const { sequenceNumber } = block.object.spec ?? {};
  return typeof sequenceNumber === 'bigint' || Number.isInteger(sequenceNumber);
}

function sequenceOf({ object }: Block): number | bigint {
  return object.spec!['sequenceNumber'] as number | bigint;
}

function sequencesOf({ object }: Block): Readonly<Record<string, AnyNumber>> {
  return (object.spec?.['sequenceNumberForAllocation'] ?? {}) as Readonly<Record<string, AnyNumber>>;
}
