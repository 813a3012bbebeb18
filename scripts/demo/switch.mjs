// The network between the nodes of the Calico demo. It has a TUN device at each node, and this
// program between them sees every packet on the wire, and whether the packet is WireGuard's or a
// pod's plaintext. It forwards packets unchanged.
import { writeSync } from 'node:fs';
import {
  makePacketBatch,
  PACKET_LENGTH,
  PACKET_OFFSET,
  PACKET_STRIDE,
  VNET_HEADER_SIZE,
} from '../../dist/packet/batch.js';

const UDP = 17;
const GSO_SIZE = 4;
const UDP_HEADERS = 28;

/**
 * Connects the ends and counts what passes.
 * @param nodeOf returns the number of the node that has this IPv4 address, or whose pod has it
 * @param isPod returns whether an address belongs to a pod
 * @param port the UDP port of WireGuard at all ends
 */
export function joinSwitch(ends, { nodeOf, isPod, port }) {
  const count = () => ends.map(() => ends.map(() => 0));
  const seen = { encrypted: count(), clear: count() };

  function countPacket(packet, gso, from) {
    const to = nodeOf(packet.subarray(16, 20));
    if (to === undefined || !ends[to]) return undefined;
    if (packet[9] === UDP && packet.readUInt16BE(20) === port && packet.readUInt16BE(22) === port)
      // A super-packet may hold several messages.
      seen.encrypted[from][to] += gso ? Math.ceil((packet.length - UDP_HEADERS) / gso) : 1;
    else if (isPod(packet.subarray(12, 16)) || isPod(packet.subarray(16, 20))) seen.clear[from][to]++;
    return ends[to];
  }

  for (const [from, { tun }] of ends.entries()) {
    const batch = makePacketBatch(8 * 65_600, 64);
    tun.onReadable(() => {
      if (tun.read(batch) <= 0) return;
      for (let i = 0; i < batch.count; i++) {
        const offset = batch.desc[i * PACKET_STRIDE + PACKET_OFFSET];
        const whole = Buffer.from(batch.slab.buffer, offset, batch.desc[i * PACKET_STRIDE + PACKET_LENGTH]);
        if (whole[VNET_HEADER_SIZE] >> 4 !== 4) continue;
        const to = countPacket(whole.subarray(VNET_HEADER_SIZE), whole.readUInt16LE(GSO_SIZE), from);
        try {
          if (to) writeSync(to.fd, whole);
        } catch {
          // The receiving TUN device is down: drop the packet, as a real switch would.
        }
      }
    });
  }
  return {
    /** Returns what the switch has seen since the last call. */
    take() {
      const taken = { encrypted: seen.encrypted, clear: seen.clear };
      seen.encrypted = count();
      seen.clear = count();
      return taken;
    },
  };
}
