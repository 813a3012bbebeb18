/**
 * The traffic of simulated hosts: IP packets with a number, and a marker that must never appear on
 * a wire.
 */
import { parseAddress } from '../../src/base/address.ts';

export const MARKER = Buffer.from('THIS MUST NEVER BE SEEN ON A WIRE');

export function innerAddress(index: number, ipv6: boolean): Uint8Array {
  return parseAddress(ipv6 ? `fd00::${(index + 1).toString(16)}` : `10.0.0.${index + 1}`)!;
}

/** An IP packet of protocol 253 (RFC 3692, for experiments) with a number and a marker. */
export function makePacket(from: number, to: number, id: number, size: number, ipv6: boolean): Uint8Array {
  const header = ipv6 ? 40 : 20;
  const packet = new Uint8Array(header + Math.max(4, size));
  const view = new DataView(packet.buffer);
  if (ipv6) {
    packet[0] = 0x60;
    view.setUint16(4, packet.length - 40);
    packet[6] = 253;
    packet[7] = 64;
    packet.set(innerAddress(from, true), 8);
    packet.set(innerAddress(to, true), 24);
  } else {
    packet[0] = 0x45;
    view.setUint16(2, packet.length);
    packet[8] = 64;
    packet[9] = 253;
    packet.set(innerAddress(from, false), 12);
    packet.set(innerAddress(to, false), 16);
  }
  view.setUint32(header, id);
  for (let i = header + 4; i < packet.length; i++) packet[i] = MARKER[(i - header - 4) % MARKER.length]!;
  return packet;
}
