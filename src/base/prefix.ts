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
  const masked = Uint8Array.from(address);
  for (let i = 0; i < masked.length; i++) {
    const keep = Math.max(0, Math.min(8, length - 8 * i));
    masked[i]! &= 0xff00 >> keep;
  }
  return { address: masked, length };
}

/**
 * Parses `10.0.0.0/8`, `fd00::/8`, or a bare address, which stands for itself alone (/32, /128) as in `wg`.
 * @returns undefined if the text is neither.
 */
export function parsePrefix(text: string): Prefix | undefined {
  const [host, bits, ...rest] = text.split('/');
  const address = parseAddress(host!);
  if (!address || rest.length > 0) return undefined;
  if (bits === undefined) return makePrefix(address, address.length * 8);
  if (!/^[0-9]{1,3}$/.test(bits) || Number(bits) > address.length * 8) return undefined;
  return makePrefix(address, Number(bits));
}

/** `10.0.0.0/8`, always with a length. */
export function formatPrefix(prefix: Prefix): string {
  return `${formatAddress(prefix.address)}/${prefix.length}`;
}
