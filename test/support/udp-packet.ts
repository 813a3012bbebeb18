/** IPv4 packets with UDP, made and parsed by code of the tests alone (RFC 791, 768, 1071). */

export function udpPacket(source: string, destination: string, port: number, payload: string): Uint8Array {
  const data = Buffer.from(payload);
  const packet = Buffer.alloc(28 + data.length);
  packet[0] = 0x45;
  packet.writeUInt16BE(packet.length, 2);
  packet[6] = 0x40;
  packet[8] = 64;
  packet[9] = 17;
  packet.set(source.split('.').map(Number), 12);
  packet.set(destination.split('.').map(Number), 16);
  packet.writeUInt16BE(sum(packet.subarray(0, 20), 0), 10);
  packet.writeUInt16BE(port, 20);
  packet.writeUInt16BE(port, 22);
  packet.writeUInt16BE(8 + data.length, 24);
  packet.set(data, 28);
  const pseudo = 17 + 8 + data.length;
  packet.writeUInt16BE(sum(packet.subarray(12), pseudo) || 0xffff, 26);
  return packet;
}

/** Returns the payload of a UDP packet to an address, or undefined for anything else. */
export function udpPayload(packet: Uint8Array, destination: string): string | undefined {
  if (packet[0] !== 0x45 || packet[9] !== 17 || [...packet.subarray(16, 20)].join('.') !== destination)
    return undefined;
  return Buffer.from(packet.subarray(28)).toString();
}

function sum(bytes: Buffer, start: number): number {
  let total = start;
  for (let i = 0; i < bytes.length; i++) total += i % 2 === 0 ? bytes[i]! << 8 : bytes[i]!;
  while (total > 0xffff) total = (total & 0xffff) + (total >>> 16);
  return ~total & 0xffff;
}
