/** TCP and other packets in VXLAN (RFC 7348), made by code of the tests alone. */
import { type IpShape, ipPacket, PLAIN, UDP } from './ip-packet.ts';

/** Where the VXLAN of these packets ends. */
export const OVERLAY = { port: 4789, address: 0x0a000001 } as const;

export interface Vxlan {
  readonly outer: Partial<IpShape>;
  /** Of the network. */
  readonly identifier: number;
}

/** Returns a packet. @param summed whether the UDP header has a checksum */
export function vxlanPacket({ outer, identifier }: Vxlan, inner: Partial<IpShape>, summed: boolean): Uint8Array {
  const ethertype = inner.version === 6 ? [0x86, 0xdd] : [0x08, 0x00];
  const ethernet = [2, 0, 0, 0, 0, 1, 2, 0, 0, 0, 0, 2, ...ethertype];
  const payload = Buffer.concat([Uint8Array.of(8, 0, 0, 0, 0, 0, identifier, 0, ...ethernet), ipPacket(inner)]);
  return ipPacket({ ...PLAIN, ...OUTER, ...outer, payload, sum: summed ? 'right' : 0 });
}

const OUTER = {
  protocol: UDP,
  source: 2,
  destination: OVERLAY.address & 0xff,
  sourcePort: 50_000,
  destinationPort: OVERLAY.port,
  fragment: 0,
} as const;
