/**
 * Addresses that no other node can be reached at, whatever its Node says, and that none of its pods can have. Felix believes a Node; what it says of such an
 * address would lead this node's traffic, or its encrypted datagrams, to itself or to nobody.
 *
 * IPv4 link-local addresses (169.254.0.0/16) may be endpoints: no zone is needed to reach them, and there are networks of them. IPv6's need a zone, which a Node
 * cannot say. As pods' and tunnels' addresses Calico allows neither, and 169.254.169.254 is where clouds answer for their machines.
 */
import { covers, type Prefix, parsePrefix } from '../../../base/prefix.ts';
import { single } from './prefix-sets.ts';

interface Range {
  readonly prefix: Prefix;
  readonly what: string;
  /** Of nodes it may be. */
  readonly hostsMay?: boolean;
}

const range = (text: string, what: string, hostsMay = false): Range => ({ prefix: parsePrefix(text)!, what, hostsMay });

/** The narrower first, of those that lie within each other. */
const RANGES: readonly Range[] = [
  range('0.0.0.0/32', 'the unspecified address'),
  range('0.0.0.0/8', 'of "this network" (0.0.0.0/8)'),
  range('127.0.0.0/8', 'a loopback address'),
  range('169.254.0.0/16', 'a link-local address', true),
  range('224.0.0.0/4', 'a multicast address'),
  range('255.255.255.255/32', 'the broadcast address'),
  range('240.0.0.0/4', 'a reserved address (240.0.0.0/4)'),
  range('::/128', 'the unspecified address'),
  range('::1/128', 'the loopback address'),
  range('::/96', 'IPv4 in an IPv6 notation that is not used any more (::/96)'),
  range('::ffff:0:0/96', 'IPv4 in IPv6 notation'),
  range('fe80::/10', 'a link-local address, which needs a zone'),
  range('ff00::/8', 'a multicast address'),
];

/** Returns what an address is that can be nobody's endpoint. */
export function reservedEndpoint(address: Uint8Array): string | undefined {
  return RANGES.find(({ prefix, hostsMay }) => !hostsMay && covers(prefix, single(address)))?.what;
}

/**
 * Returns what a prefix is, or has within it, that can be nobody's.
 * @param host whether it is the address of a node
 */
export function reservedPrefix(prefix: Prefix, host: boolean): string | undefined {
  const found = RANGES.filter(({ hostsMay }) => !(host && hostsMay));
  const inside = found.find(range => covers(range.prefix, prefix));
  if (inside) return inside.what;
  const wider = found.find(range => covers(prefix, range.prefix));
  return wider && `so wide that it has ${wider.what} in it`;
}

/** Whether it is the last address of a network, to which all in the network listen. One of two addresses, or alone, is nothing special. */
export function isBroadcast(address: Uint8Array, inNetwork: Uint8Array, length: number): boolean {
  if (address.length !== 4 || inNetwork.length !== 4 || length > 30) return false;
  return address.every((byte, i) => {
    const hostBits = 0xff >> Math.min(8, Math.max(0, length - 8 * i));
    return byte === (inNetwork[i]! | hostBits);
  });
}
