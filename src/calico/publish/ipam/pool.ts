/**
 * Selects the IPPools that may provide a tunnel address
 * (docs/reference/calico-felix.md#tunnel-addresses).
 */
import type { Family } from '../../../base/family.ts';
import { makePrefix, type Prefix, parsePrefix } from '../../../base/prefix.ts';
import type { IpamObject } from './port.ts';

export interface Pool {
  readonly name: string;
  readonly cidr: Prefix;
  /** Prefix length of the blocks. */
  readonly blockSize: number;
}

/**
 * Returns the pools of one family that are enabled, are not being deleted, allow tunnels and select
 * this node.
 * @param matches evaluates a nodeSelector for this node
 */
export function tunnelPools(
  objects: readonly IpamObject[],
  family: Family,
  matches: (nodeSelector: string) => boolean,
): Pool[] {
  const bits = family === 4 ? 32 : 128;
  return objects.flatMap(({ metadata, spec = {} }) => {
    const { cidr: text, disabled, nodeSelector, allowedUses, blockSize } = spec;
    const cidr = typeof text === 'string' ? parsePrefix(text) : undefined;
    if (!cidr || cidr.address.length * 8 !== bits || disabled === true || metadata.deletionTimestamp) return [];
    if (Array.isArray(allowedUses) && allowedUses.length > 0 && !allowedUses.includes('Tunnel')) return [];
    if (!matches(typeof nodeSelector === 'string' && nodeSelector !== '' ? nodeSelector : 'all()')) return [];
    const size = typeof blockSize === 'number' && blockSize > 0 ? blockSize : bits - 6;
    return size >= cidr.length && size <= bits
      ? [{ name: metadata.name, cidr: makePrefix(cidr.address, cidr.length), blockSize: size }]
      : [];
  });
}
