/**
 * Whether a packet that the host hands to the tunnel is a datagram that the tunnel itself has just sent to that peer: routing leads the peer's
 * endpoint into the tunnel, and each turn would make a greater packet of it. The kernel module sees the loop by a mark in its
 * own buffers (device.c, wg_xmit); a program sees addresses and ports.
 */
import { ENDPOINT_ADDRESS, ENDPOINT_FAMILY, ENDPOINT_PORT } from '../base/endpoint.ts';
import { readU16be } from './byte-order.ts';
import { PROTOCOL_UDP } from './checksum.ts';
import {
  IPV4_DESTINATION,
  IPV4_FRAGMENT,
  IPV4_PROTOCOL,
  IPV6_DESTINATION,
  IPV6_HEADER_SIZE,
  IPV6_NEXT_HEADER,
} from './ip-header.ts';

const FRAGMENT_HEADER = 44;
const FRAGMENT_HEADER_SIZE = 8;
const OFFSET_BITS = 0x1fff;

/**
 * @param at where the IP header begins; it is whole
 * @param length of the packet
 * @param endpoint the peer's (base/endpoint.ts)
 * @param port the one that we send from; 0: not known, and no datagram is ours
 */
export function isOwnDatagram(
  slab: Uint8Array,
  at: number,
  length: number,
  endpoint: Uint8Array,
  port: number,
): boolean {
  const version = slab[at]! >> 4;
  if (port === 0 || endpoint[ENDPOINT_FAMILY] !== version) return false;
  const size = version === 4 ? 4 : 16;
  const destination = at + (version === 4 ? IPV4_DESTINATION : IPV6_DESTINATION);
  // most packets end here, at the byte in which neighbours differ
  for (let i = size - 1; i >= 0; i--) if (slab[destination + i] !== endpoint[ENDPOINT_ADDRESS + i]) return false;
  const ports = at + (version === 4 ? portsIn4(slab, at) : portsIn6(slab, at));
  if (ports < at || ports + 4 > at + length) return false;
  return (
    readU16be(slab, ports) === port &&
    slab[ports + 2] === endpoint[ENDPOINT_PORT] &&
    slab[ports + 3] === endpoint[ENDPOINT_PORT + 1]
  );
}

/** Where the UDP header is; -1 if there is none, as in all fragments but the first. Without that one they are of no use to anybody. */
function portsIn4(slab: Uint8Array, at: number): number {
  if (slab[at + IPV4_PROTOCOL] !== PROTOCOL_UDP || (readU16be(slab, at + IPV4_FRAGMENT) & OFFSET_BITS) !== 0) return -1;
  return (slab[at]! & 15) * 4;
}

/** The host writes no other headers in front of what it sends for us. */
function portsIn6(slab: Uint8Array, at: number): number {
  const next = slab[at + IPV6_NEXT_HEADER];
  if (next === PROTOCOL_UDP) return IPV6_HEADER_SIZE;
  const fragment = at + IPV6_HEADER_SIZE;
  if (next !== FRAGMENT_HEADER || slab[fragment] !== PROTOCOL_UDP || readU16be(slab, fragment + 2) >> 3 !== 0)
    return -1;
  return IPV6_HEADER_SIZE + FRAGMENT_HEADER_SIZE;
}
