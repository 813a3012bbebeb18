/**
 * Recognises addresses that cannot belong to another node or its pods. Felix trusts every Node.
 * With a reserved address, it would send this node's traffic, or its encrypted datagrams, to this
 * node itself or to no host at all.
 *
 * IPv4 link-local addresses (169.254.0.0/16) may be endpoints: they need no zone, and some networks
 * use them. IPv6 link-local addresses need a zone, which a Node cannot specify. Calico does not
 * allow link-local addresses for pods or tunnels, and 169.254.169.254 is the metadata service of
 * cloud providers.
 */
import { covers, type Prefix, parsePrefix } from '../../../base/prefix.ts';
import { addressPrefix } from './prefix-sets.ts';

interface Range {
  readonly prefix: Prefix;
  readonly description: string;
  /** Whether nodes may have addresses in this range. */
  readonly allowsHosts?: boolean;
}

const range = (text: string, description: string, allowsHosts = false): Range => ({
  prefix: parsePrefix(text)!,
  description,
  allowsHosts,
});

/** Reserved ranges; a narrower range precedes the wider one that contains it. */
const RANGES: readonly Range[] = [
  range('0.0.0.0/32', 'the unspecified address'),
  range('0.0.0.0/8', 'an address of "this network" (0.0.0.0/8)'),
  range('127.0.0.0/8', 'a loopback address'),
  range('169.254.0.0/16', 'a link-local address', true),
  range('224.0.0.0/4', 'a multicast address'),
  range('255.255.255.255/32', 'the broadcast address'),
  range('240.0.0.0/4', 'a reserved address (240.0.0.0/4)'),
  range('::/128', 'the unspecified address'),
  range('::1/128', 'the loopback address'),
  range('::/96', 'a deprecated IPv4-compatible IPv6 address (::/96)'),
  range('::ffff:0:0/96', 'an IPv4-mapped IPv6 address'),
  range('fe80::/10', 'a link-local address, which needs a zone'),
  range('ff00::/8', 'a multicast address'),
];

/** Describes an address that cannot be an endpoint; returns undefined for any other address. */
export function reservedEndpoint(address: Uint8Array): string | undefined {
  return RANGES.find(({ prefix, allowsHosts }) => !allowsHosts && covers(prefix, addressPrefix(address)))?.description;
}

/**
 * Describes why a prefix cannot be claimed: it lies within a reserved range or contains one.
 * Returns undefined for any other prefix.
 * @param host whether the prefix is the address of a node
 */
export function reservedPrefix(prefix: Prefix, host: boolean): string | undefined {
  const forbidden = RANGES.filter(({ allowsHosts }) => !(host && allowsHosts));
  const enclosing = forbidden.find(range => covers(range.prefix, prefix));
  if (enclosing) return enclosing.description;
  const enclosed = forbidden.find(range => covers(prefix, range.prefix));
  return enclosed && `so wide that it contains ${enclosed.description}`;
}

/**
 * Returns whether the address is the broadcast address of a network, which is its last address.
 * Networks of one or two addresses (/32, /31) do not have a broadcast address.
 */
export function isBroadcast(address: Uint8Array, inNetwork: Uint8Array, length: number): boolean {
  if (address.length !== 4 || inNetwork.length !== 4 || length > 30) return false;
  return address.every((byte, i) => {
    const hostBits = 0xff >> Math.min(8, Math.max(0, length - 8 * i));
    return byte === (inNetwork[i]! | hostBits);
  });
}
