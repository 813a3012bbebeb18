/**
 * Parses IPPool, from which tunnel addresses are assigned
 * (docs/reference/calico-felix.md#ipam-objects, #tunnel-addresses).
 */
import type { IpPool } from '../../model/cluster.ts';
import { quoted } from '../../model/problem.ts';
import { openObject, type Parsed } from './reader.ts';

/** Limits and default of a block's prefix length, by address size in bytes. */
const BLOCK_LENGTH = { 4: { min: 20, default: 26, max: 32 }, 16: { min: 116, default: 122, max: 128 } };

export function parseIpPool(object: unknown): Parsed<IpPool> {
  const { reader, name, metadata, top } = openObject('IPPool', object);
  const { problems } = reader;
  if (name === undefined) return { problems };
  const spec = reader.fields(top['spec'], 'spec');
  const cidr = reader.prefix(spec['cidr'], 'spec.cidr');
  if (!cidr) {
    if (problems.length === 0) reader.problem('InvalidCIDR', 'spec.cidr is missing; the pool is ignored');
    return { problems };
  }
  const { min, default: usual, max } = BLOCK_LENGTH[cidr.address.length as 4 | 16];
  const written = spec['blockSize'];
  let blockSize = Math.max(usual, cidr.length);
  if (
    typeof written === 'number' &&
    Number.isInteger(written) &&
    written >= Math.max(min, cidr.length) &&
    written <= max
  )
    blockSize = written;
  else if (written !== undefined && written !== null && written !== 0)
    reader.problem(
      'InvalidField',
      `spec.blockSize is ${quoted(written)}, but must be from ${Math.max(min, cidr.length)} to ${max}; ${blockSize} is assumed`,
    );
  const value = {
    name,
    cidr,
    blockSize,
    disabled: reader.flag(spec['disabled'], 'spec.disabled'),
    terminating: reader.text(metadata['deletionTimestamp'], 'metadata.deletionTimestamp') !== undefined,
    nodeSelector: reader.text(spec['nodeSelector'], 'spec.nodeSelector') ?? 'all()',
    allowedUses: reader.texts(spec['allowedUses'], 'spec.allowedUses'),
  };
  return { value, problems };
}
