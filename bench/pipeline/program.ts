/**
 * One run of the in-memory pipeline: an engine and its lanes seal TCP super-packets as fast as they
 * can, without kernel, TUN or sockets.
 *
 *   node program.js SECONDS THREADS
 *
 * Prints `threads N` once they all run, waits for a line of input, works, and prints `bytes/s X`:
 * what `npm run bench -- scale` expects too.
 */
import { once } from 'node:events';
import { parseEndpoint } from '#dist/base/endpoint.js';
import { parsePrefix } from '#dist/base/prefix.js';
import { opensslCrypto } from '#dist/crypto/node/openssl.js';
import { Pipeline } from '#dist/daemon/pipeline.js';
import type { Lanes } from '#dist/io/lanes.js';
import { MemoryTun } from '#dist/io/memory/tun.js';
import { MemoryNetwork } from '#dist/io/memory/udp.js';
import { nativeBinding } from '#dist/io/native-binding.js';
import { createNativeCipher, NativeCipher } from '#dist/io/native-cipher.js';
import { NativeLanes } from '#dist/io/native-lanes.js';
import { systemClock, systemRandom } from '#dist/io/system.js';
import { PACKET_STRIDE, type PacketBatch } from '#dist/packet/batch.js';
import { Engine } from '#dist/protocol/engine.js';
import { superPacket, TCP4 } from '../micro/packets.ts';

/** Super-packets in a batch, as many as a read of the TUN gives under load. */
const BURST = 14;
const [seconds, threads] = [Number(process.argv[2]), Number(process.argv[3])];
const binding = nativeBinding();
const clock = systemClock();
const [engine, far] = [makeEngine(), makeEngine()];
meet();
const filled = new WeakSet<PacketBatch>();
const { bytes: packet } = superPacket(TCP4);
const tun = new MemoryTun({ up: true, mtu: 1420, name: 'memory' });
const udp = new MemoryNetwork().open([Uint8Array.of(192, 0, 2, 1)], 1);
// without lanes, what is sealed is thrown away as well
udp.send = () => 0;
const pipeline: Pipeline = new Pipeline({
  engine,
  tun,
  losses: { sendErrors: 0, tunDropped: 0 },
  makeLanes: cipher => (threads > 1 && cipher instanceof NativeCipher ? sendingNothing(cipher) : undefined),
  shareAlways: true,
  onOpened: () => {},
  drain,
});
run(0.3);
console.log(`threads ${threads}`);
await once(process.stdin, 'data');
process.stdin.destroy();
console.log(`bytes/s ${Math.round(run(seconds))}`);
pipeline.close();

function run(duration: number): number {
  const begun = performance.now();
  let bytes = 0;
  let now = begun;
  while (now - begun < duration * 1000) {
    pipeline.begin(now);
    const batch = pipeline.packets(now);
    if (!filled.has(batch)) fill(batch);
    batch.count = BURST;
    pipeline.send(batch, now);
    bytes += BURST * packet.length;
    now = performance.now();
  }
  pipeline.settle(now);
  return (bytes / (performance.now() - begun)) * 1000;
}

function fill(batch: PacketBatch): void {
  filled.add(batch);
  for (let i = 0; i < BURST; i++) {
    batch.slab.set(packet, i * packet.length);
    batch.desc.set([i * packet.length, packet.length], i * PACKET_STRIDE);
  }
}

function drain(): void {
  if (engine.transmits.count > 0) pipeline.transmit(udp, 0);
  engine.drained();
}

function sendingNothing(cipher: NativeCipher): Lanes {
  const lanes = new NativeLanes(binding, cipher, threads);
  const seal = lanes.seal.bind(lanes);
  lanes.seal = (_udp, ...work) => seal(undefined, ...work);
  return lanes;
}

function makeEngine(): Engine {
  const cipher = createNativeCipher(binding)!;
  return new Engine({ crypto: opensslCrypto, cipher, random: systemRandom(), wall: clock.wall });
}

/** Makes a session between the two engines. */
function meet(): void {
  const keys = [1, 2].map(seed => new Uint8Array(32).fill(seed));
  const both = [engine, far];
  const now = clock.now();
  for (const [i, each] of both.entries()) {
    const publicKey = opensslCrypto.publicKey(keys[1 - i]!);
    const allowedIps = [{ prefix: parsePrefix('0.0.0.0/0')! }];
    const endpoint = parseEndpoint('192.0.2.9:9')!;
    each.configure({ privateKey: keys[i]!, peers: [{ publicKey, endpoint, allowedIps, initiate: i === 0 }] }, now);
    each.mtu = 1420;
    each.up(now);
  }
  engine.configure({ peers: [{ publicKey: opensslCrypto.publicKey(keys[1]!), initiate: true }] }, now);
  // initiation, response, and what confirms the session
  for (let message = 0; message < 4; message++) {
    const [from, to] = [both[message % 2]!, both[1 - (message % 2)]!];
    from.timeout(clock.now());
    to.receive(from.transmits, 0, now);
    from.drained();
  }
  if (engine.status().peers[0]?.lastHandshakeSeconds === 0) throw new Error('there is no session');
}
