/** IP prefixes (CIDR, RFC 4632) as `{ address, length }`, the host bits always zero, as allowed-ips keeps them. */
import { formatAddress, parseAddress } from './address.ts';

export interface Prefix {
  /** 4 or 16 bytes, network order, bits past `length` zero. */
  readonly address: Uint8Array;
  /** 0..32 or 0..128. */
  readonly length: number;
}

/** Makes a prefix of an address, clearing the host bits. Throws RangeError for an impossible length. */
export function makePrefix(address: Uint8Array, length: number): Prefix {
  if (!Number.isInteger(length) || length < 0 || length > address.length * 8)
    throw new RangeError(`a prefix of a ${address.length * 8} bit address has no length ${length}`);
  return { address: maskHostBits(address.slice(), length), length };
}

/**
 * Parses `10.0.0.0/8`, `fd00::/8`, or a bare address, which stands for itself alone (/32, /128) as in `wg`.
 * @returns undefined if the text is neither.
 */
export function parsePrefix(text: string): Prefix | undefined {
  const slash = text.indexOf('/');
  const address = parseAddress(slash < 0 ? text : text.slice(0, slash));
  if (!address) return undefined;
  if (slash < 0) return { address, length: address.length * 8 };
  const bits = text.slice(slash + 1);
  if (!/^[0-9]{1,3}$/.test(bits) || Number(bits) > address.length * 8) return undefined;
  return { address: maskHostBits(address, Number(bits)), length: Number(bits) };
}

/** `10.0.0.0/8`, always with a length. */
export function formatPrefix(prefix: Prefix): string {
  return `${formatAddress(prefix.address)}/${prefix.length}`;
}

/** In place. */
function maskHostBits(address: Uint8Array, length: number): Uint8Array {
  for (let i = length >> 3; i < address.length; i++) address[i]! &= 0xff00 >> Math.max(0, length - 8 * i);
  return address;
}
