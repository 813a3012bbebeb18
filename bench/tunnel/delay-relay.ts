/**
 * This program is a second cable between the namespaces LEFT and RIGHT. It delays every packet by
 * MILLISECONDS, for kernels without sch_netem. It has a TUN device at each end and, like netem,
 * forwards packets unchanged, super-packets included. Prints `ready`.
 */
import { execFileSync } from 'node:child_process';
import { writeSync } from 'node:fs';
import { nativeBinding } from '#dist/io/native-binding.js';
import { type NativeTun, openTun, SLAB_HEADER_OFFLOADS } from '#dist/io/tun.js';
import { makePacketBatch, PACKET_LENGTH, PACKET_OFFSET, PACKET_STRIDE } from '#dist/packet/batch.js';

const MTU = 1500;
const LARGEST = 65_600;
/**
 * The most bytes in flight in one direction. Excess packets are dropped, as by any cable's queue.
 */
const ROOM = 64 << 20;
/** The most packets in flight in one direction. */
const SLOTS = 1 << 16;

const [namespaces, delay] = [process.argv.slice(2, 4), Number(process.argv[4])];
const ends = namespaces.map(name => {
  const device = `slow-${name}`;
  const tun = openTun({ binding: nativeBinding(), name: device, offloads: SLAB_HEADER_OFFLOADS, mtu: MTU });
  execFileSync('ip', ['link', 'set', device, 'netns', name]);
  return tun;
});
carry(ends[0]!, ends[1]!);
carry(ends[1]!, ends[0]!);
console.log('ready');

function carry(from: NativeTun, to: NativeTun): void {
  const ring = Buffer.alloc(ROOM);
  const batch = makePacketBatch(16 * LARGEST, 64);
  const offsets = new Int32Array(SLOTS);
  const lengths = new Int32Array(SLOTS);
  const due = new Float64Array(SLOTS);
  let head = 0;
  let count = 0;
  let used = 0;
  let at = 0;
  let timer: NodeJS.Timeout | undefined;

  function put(packet: Uint8Array, when: number): void {
    if (count === SLOTS || used + packet.length + LARGEST > ROOM) return;
    if (at + packet.length > ROOM) at = 0;
    ring.set(packet, at);
    const slot = (head + count++) % SLOTS;
    offsets[slot] = at;
    lengths[slot] = packet.length;
    due[slot] = when;
    at += packet.length;
    used += packet.length;
  }

  function deliver(): void {
    timer = undefined;
    const now = performance.now();
    for (; count > 0 && due[head]! <= now; head = (head + 1) % SLOTS, count--) {
      const length = lengths[head]!;
      used -= length;
      try {
        writeSync(to.fd, ring, offsets[head]!, length);
      } catch {
        // The receiving TUN device is down or its host has no room: drop the packet, as a real
        // cable would.
      }
    }
    if (count > 0) timer = setTimeout(deliver, Math.max(0, due[head]! - performance.now()));
  }

  from.onReadable(() => {
    for (let round = 0; round < 4 && from.read(batch) > 0; round++) {
      const when = performance.now() + delay;
      for (let i = 0; i < batch.count; i++) {
        const offset = batch.desc[i * PACKET_STRIDE + PACKET_OFFSET]!;
        put(batch.slab.subarray(offset, offset + batch.desc[i * PACKET_STRIDE + PACKET_LENGTH]!), when);
      }
    }
    deliverSoon();
  });

  function deliverSoon(): void {
    if (count > 0 && timer === undefined) timer = setTimeout(deliver, Math.max(0, due[head]! - performance.now()));
  }
}
