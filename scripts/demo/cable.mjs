// The cable between the two hosts of the demo. It has a TUN device at each end, and this program
// between them sees every packet on the wire. It forwards packets unchanged; super-packets keep
// their offload header.
import { writeSync } from 'node:fs';
import {
  makePacketBatch,
  PACKET_LENGTH,
  PACKET_OFFSET,
  PACKET_STRIDE,
  VNET_HEADER_SIZE,
} from '../../dist/packet/batch.js';

const GSO_SIZE = 4;
const UDP = 17;
const NAMES = { 1: 'initiation', 2: 'response', 3: 'cookie reply', 4: 'transport' };

/**
 * Connects two ends and counts what passes.
 * @param port the UDP port of WireGuard at both ends
 * @param text plaintext that must never appear on the wire
 */
export function joinCable(ends, port, text) {
  const seen = {
    /** Messages by name. `other` counts all packets that are not WireGuard messages. */
    messages: { initiation: 0, response: 0, 'cookie reply': 0, transport: 0, other: 0 },
    bytes: 0,
    /** How often the text appeared on the wire. */
    text: 0,
    /** Milliseconds between the first initiation and the first response. */
    handshake: undefined,
    examples: [],
  };
  let initiated = 0;

  function countPacket(packet, gso) {
    seen.bytes += packet.length;
    if (text && packet.includes(text)) seen.text++;
    const udp = packet[0] === 0x45 && packet[9] === UDP;
    const datagram =
      udp && packet.readUInt16BE(20) === port && packet.readUInt16BE(22) === port ? packet.subarray(28) : undefined;
    const size = gso || datagram?.length || 1;
    for (let at = 0; at < (datagram?.length || 1); at += size) {
      const name =
        datagram && datagram.length - at >= 32 && datagram.readUIntBE(at + 1, 3) === 0
          ? NAMES[datagram[at]]
          : undefined;
      seen.messages[name ?? 'other']++;
      if (!name && seen.examples.length < 3) seen.examples.push(packet.subarray(0, 40).toString('hex'));
      if (name === 'initiation') initiated ||= performance.now();
      if (name === 'response') seen.handshake ??= performance.now() - initiated;
    }
  }

  function carry(from, to) {
    const batch = makePacketBatch(8 * 65_600, 64);
    from.tun.onReadable(() => {
      if (from.tun.read(batch) <= 0) return;
      for (let i = 0; i < batch.count; i++) {
        const offset = batch.desc[i * PACKET_STRIDE + PACKET_OFFSET];
        const whole = Buffer.from(batch.slab.buffer, offset, batch.desc[i * PACKET_STRIDE + PACKET_LENGTH]);
        countPacket(whole.subarray(VNET_HEADER_SIZE), whole.readUInt16LE(GSO_SIZE));
        try {
          writeSync(to.fd, whole);
        } catch {
          // The receiving TUN device is down: drop the packet, as a real cable would.
        }
      }
    });
  }

  carry(ends[0], ends[1]);
  carry(ends[1], ends[0]);
  return seen;
}
