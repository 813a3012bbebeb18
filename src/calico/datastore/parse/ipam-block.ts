/**
 * Parses IPAMBlock: which node owns a block of addresses, and which node uses each allocated
 * address (docs/reference/calico-felix.md#ipam-objects, #prefix-owners).
 *
 * A block is untrusted input of up to 1.5 MB, and a cluster may have many. The result is bounded by
 * the number of addresses that Calico allows in a block, and takes about 60 bytes for each.
 */
import { addressAt, type Prefix } from '../../../base/prefix.ts';
import type { Allocation, IpamBlock } from '../../model/cluster.ts';
import { quoted } from '../../model/problem.ts';
import { type Fields, isFields, type ObjectReader, openObject, type Parsed } from './reader.ts';

/** Calico's largest blocks are /20 and /116. */
const LARGEST_BLOCK = 4096;
/** Kubernetes' limit for the name of a node. */
const LONGEST_NAME = 253;
/** Texts that are kept once: names of nodes and types of tunnels. */
const MOST_SHARED_TEXTS = 20_000;

type Holder = Omit<Allocation, 'address'>;

/** Makes its address when it is read: an array for each of millions would fill the memory. */
class CompactAllocation implements Allocation {
  readonly cidr: Prefix;
  readonly ordinal: number;
  readonly node: string;
  readonly type?: string;

  constructor(cidr: Prefix, ordinal: number, { node, type }: Holder) {
    this.cidr = cidr;
    this.ordinal = ordinal;
    this.node = node;
    if (type !== undefined) this.type = type;
  }

  get address(): Uint8Array {
    return addressAt(this.cidr, this.ordinal);
  }
}

export function parseIpamBlock(object: unknown): Parsed<IpamBlock> {
  const { reader, name, metadata, top } = openObject('IPAMBlock', object);
  const { problems } = reader;
  if (name === undefined) return { problems };
  const spec = reader.fields(top['spec'], 'spec');
  // Calico marks a block as deleted before it deletes it.
  if (reader.flag(spec['deleted'], 'spec.deleted')) return { problems };
  const cidr = reader.prefix(spec['cidr'], 'spec.cidr');
  if (!cidr) {
    if (problems.length === 0) reader.problem('InvalidCIDR', 'spec.cidr is missing; the block is ignored');
    return { problems };
  }
  const owner = ownerOf(reader, spec['affinity']);
  const creationTimestamp = reader.text(metadata['creationTimestamp'], 'metadata.creationTimestamp');
  const value = {
    name,
    ...(creationTimestamp !== undefined && { creationTimestamp }),
    cidr,
    ...(owner !== undefined && { owner }),
    allocations: allocations(reader, cidr, owner, spec),
  };
  return { value, problems };
}

function ownerOf(reader: ObjectReader, value: unknown): string | undefined {
  const affinity = reader.text(value, 'spec.affinity');
  if (affinity === undefined) return undefined;
  const owner = /^(?:host|virtual):(.+)$/s.exec(affinity)?.[1];
  if (owner !== undefined && owner.length <= LONGEST_NAME) return owner;
  return reader.problem(
    'InvalidField',
    `spec.affinity is ${quoted(affinity)}, but must be host:NODE or virtual:NAME; the block is treated as unowned`,
  );
}

function allocations(
  reader: ObjectReader,
  cidr: Prefix,
  owner: string | undefined,
  spec: Fields,
): readonly Allocation[] {
  const attributes = reader.list(spec['attributes'], 'spec.attributes');
  const size = Math.min(LARGEST_BLOCK, 2 ** (cidr.address.length * 8 - cidr.length));
  const ordinals = reader.list(spec['allocations'], 'spec.allocations');
  if (ordinals.length > size)
    reader.problem(
      'InvalidAllocation',
      `spec.allocations has ${ordinals.length} elements, but the block has ${size} addresses that can be used; those beyond are ignored`,
    );
  // Only attributes that an allocation refers to are read, so their number is bounded too.
  const holders = new Map<number, Holder | undefined>();
  const out: Allocation[] = [];
  for (let ordinal = 0; ordinal < Math.min(ordinals.length, size); ordinal++) {
    const index = ordinals[ordinal];
    if (index === null || index === undefined) continue;
    if (typeof index !== 'number' || !Object.hasOwn(attributes, index)) {
      reader.problem(
        'InvalidAllocation',
        `spec.allocations[${ordinal}] is ${quoted(index)}, but spec.attributes has ${attributes.length} elements; this allocation is ignored`,
      );
      continue;
    }
    if (!holders.has(index)) holders.set(index, attributeOf(reader, attributes[index], index));
    const holder = holders.get(index);
    // An address without a node, such as a reserved one, carries no pod traffic.
    if (holder && (holder.node !== owner || holder.type !== undefined))
      out.push(new CompactAllocation(cidr, ordinal, holder));
  }
  return out;
}

function attributeOf(reader: ObjectReader, value: unknown, i: number): Holder | undefined {
  const path = `spec.attributes[${i}]`;
  if (!isFields(value))
    return reader.problem('InvalidField', `${path} is ${quoted(value)}, but must be an object; it is ignored`);
  const secondary = reader.fields(value['secondary'], `${path}.secondary`);
  const node = shortText(reader, secondary['node'], `${path}.secondary.node`);
  if (node === undefined) return undefined;
  const type = shortText(reader, secondary['type'], `${path}.secondary.type`);
  return { node, ...(type !== undefined && { type }) };
}

function shortText(reader: ObjectReader, value: unknown, path: string): string | undefined {
  const text = reader.text(value, path);
  if (text === undefined || text.length <= LONGEST_NAME) return text && shared(text);
  return reader.problem(
    'InvalidField',
    `${path} is ${quoted(text)} with ${text.length} characters, but may have ${LONGEST_NAME} at most; it is ignored`,
  );
}

const sharedTexts = new Map<string, string>();

/** Returns the same string for equal texts. */
function shared(text: string): string {
  const known = sharedTexts.get(text);
  if (known !== undefined) return known;
  if (sharedTexts.size >= MOST_SHARED_TEXTS) sharedTexts.clear();
  sharedTexts.set(text, text);
  return text;
}
