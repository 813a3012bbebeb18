/**
 * Parses IPAMBlock: which node owns a block of addresses, and which node uses each allocated
 * address (docs/reference/calico-felix.md#ipam-objects, #prefix-owners).
 */
import { addressAt, type Prefix } from '../../../base/prefix.ts';
import type { Allocation, IpamBlock } from '../../model/cluster.ts';
import { quoted } from '../../model/problem.ts';
import { type Fields, isFields, type ObjectReader, openObject, type Parsed } from './reader.ts';

export function parseIpamBlock(object: unknown): Parsed<IpamBlock> {
  const { reader, name, top } = openObject('IPAMBlock', object);
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
  const value = {
    name,
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
  return (
    owner ??
    reader.problem(
      'InvalidField',
      `spec.affinity is ${quoted(affinity)}, but must be host:NODE or virtual:NAME; the block is treated as unowned`,
    )
  );
}

/**
 * Returns the allocated addresses, without those of the owner's own pods. These lie in the block,
 * which is all that a plan needs, and would be most of what the agent keeps of a cluster.
 */
function allocations(
  reader: ObjectReader,
  cidr: Prefix,
  owner: string | undefined,
  spec: Fields,
): readonly Allocation[] {
  const attributes = reader.list(spec['attributes'], 'spec.attributes').map((each, i) => attributeOf(reader, each, i));
  const size = 2 ** (cidr.address.length * 8 - cidr.length);
  const ordinals = reader.list(spec['allocations'], 'spec.allocations');
  if (ordinals.length > size)
    reader.problem(
      'InvalidAllocation',
      `spec.allocations has ${ordinals.length} elements, but the block has ${size} addresses; those beyond are ignored`,
    );
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
    const attribute = attributes[index];
    // An address without a node, such as a reserved one, carries no pod traffic.
    if (!attribute) continue;
    const { isPod, ...rest } = attribute;
    if (!isPod || rest.node !== owner) out.push({ address: addressAt(cidr, ordinal), ...rest });
  }
  return out;
}

interface Attribute extends Omit<Allocation, 'address'> {
  readonly isPod: boolean;
}

function attributeOf(reader: ObjectReader, value: unknown, i: number): Attribute | undefined {
  const path = `spec.attributes[${i}]`;
  if (!isFields(value))
    return reader.problem('InvalidField', `${path} is ${quoted(value)}, but must be an object; it is ignored`);
  const secondary = reader.fields(value['secondary'], `${path}.secondary`);
  const node = reader.text(secondary['node'], `${path}.secondary.node`);
  if (node === undefined) return undefined;
  const handleId = reader.text(value['handle_id'], `${path}.handle_id`);
  const type = reader.text(secondary['type'], `${path}.secondary.type`);
  const isPod = type === undefined && typeof secondary['pod'] === 'string';
  return { node, isPod, ...(handleId !== undefined && { handleId }), ...(type !== undefined && { type }) };
}
