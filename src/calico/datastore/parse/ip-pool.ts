/** IPPool: where tunnel addresses may come from (docs/reference/calico-felix.md#ipam-objects, #tunnel-addresses). */
import type { IpPool } from '../../model/cluster.ts';
import { quoted } from '../../model/problem.ts';
import { open, type Parsed } from './reader.ts';

/** By the size of an address: how long a block's prefix may be, and is where none is said. */
const BLOCK = { 4: { least: 20, usual: 26, most: 32 }, 16: { least: 116, usual: 122, most: 128 } };

export function parseIpPool(object: unknown): Parsed<IpPool> {
  const { reader, name, metadata, top } = open('IPPool', object);
  const { problems } = reader;
  if (name === undefined) return { problems };
  const spec = reader.fields(top['spec'], 'spec');
  const cidr = reader.prefix(spec['cidr'], 'spec.cidr');
  if (!cidr) {
    if (problems.length === 0) reader.problem('InvalidCIDR', 'spec.cidr is missing; the pool is ignored');
    return { problems };
  }
  const { least, usual, most } = BLOCK[cidr.address.length as 4 | 16];
  const written = spec['blockSize'];
  let blockSize = Math.max(usual, cidr.length);
  if (
    typeof written === 'number' &&
    Number.isInteger(written) &&
    written >= Math.max(least, cidr.length) &&
    written <= most
  )
    blockSize = written;
  else if (written !== undefined && written !== null && written !== 0)
    reader.problem(
      'InvalidField',
      `spec.blockSize is ${quoted(written)}, but must be from ${Math.max(least, cidr.length)} to ${most}; ${blockSize} is assumed`,
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
