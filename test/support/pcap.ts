/**
 * Reads UDP payloads from a classic pcap file with Ethernet frames (the captures in
 * ../shared/vectors).
 */
import { readFileSync } from 'node:fs';

export interface CapturedDatagram {
  /** From 1, as Wireshark counts. */
  readonly frame: number;
  /** `address:port` of the sender. */
  readonly source: string;
  readonly payload: Uint8Array;
}

export function readPcap(path: string): CapturedDatagram[] {
  const file = readFileSync(path);
  if (file.readUInt32LE(0) !== 0xa1b2c3d4 && file.readUInt32LE(0) !== 0xa1b23c4d)
    throw new Error(`${path} is not a pcap file`);
  const linkType = file.readUInt32LE(20);
  const found: CapturedDatagram[] = [];
  let frame = 0;
  for (let at = 24; at + 16 <= file.length; ) {
    const length = file.readUInt32LE(at + 8);
    const bytes = file.subarray(at + 16, at + 16 + length);
    at += 16 + length;
    frame++;
    const datagram = udpPayload(bytes, linkType);
    if (datagram) found.push({ frame, ...datagram });
  }
  return found;
}

function udpPayload(bytes: Buffer, linkType: number): { source: string; payload: Uint8Array } | undefined {
  // 1: Ethernet, 101: raw IP, 0: BSD loopback, 113: Linux cooked
  const header = { 1: 14, 101: 0, 0: 4, 113: 16 }[linkType];
  if (header === undefined) throw new Error(`link type ${linkType}`);
  const ip = bytes.subarray(header);
  if (ip[0]! >> 4 === 4 && ip[9] === 17) {
    const udp = ip.subarray((ip[0]! & 15) * 4);
    return {
      source: `${ip.subarray(12, 16).join('.')}:${udp.readUInt16BE(0)}`,
      payload: Uint8Array.from(udp.subarray(8, udp.readUInt16BE(4))),
    };
  }
  if (ip[0]! >> 4 === 6 && ip[6] === 17) {
    const udp = ip.subarray(40);
    return {
      source: `[${ip.subarray(8, 24).toString('hex')}]:${udp.readUInt16BE(0)}`,
      payload: Uint8Array.from(udp.subarray(8, udp.readUInt16BE(4))),
    };
  }
  return undefined;
}
