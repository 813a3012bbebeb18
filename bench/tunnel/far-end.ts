/**
 * This program is the other end of a device that is measured alone: a peer made of the engine,
 * which makes a session and then costs next to nothing. SETTINGS is JSON (FarEndSettings).
 *
 * As a sink it prints "ready" and reads no more: the kernel drops what comes once its socket is
 * full. As a source it seals a stream in advance, prints "ready", sends all of it as fast as the
 * kernel takes it after a line of input, and prints a FarEndReport as JSON.
 */
import { createInterface } from 'node:readline';
import { parseEndpoint } from '#dist/base/endpoint.js';
import { parsePrefix } from '#dist/base/prefix.js';
import { opensslCrypto } from '#dist/crypto/node/openssl.js';
import { nativeBinding } from '#dist/io/native-binding.js';
import { createNativeCipher } from '#dist/io/native-cipher.js';
import { systemClock, systemRandom } from '#dist/io/system.js';
import { openNativeUdp, UDP_OFFLOADS } from '#dist/io/udp.js';
import {
  DATAGRAM_LENGTH,
  DATAGRAM_OFFSET,
  DATAGRAM_STRIDE,
  type DatagramBatch,
  makeDatagramBatch,
  makePacketBatch,
  PACKET_STRIDE,
} from '#dist/packet/batch.js';
import { Engine } from '#dist/protocol/engine.js';
import { superPacket, UDP4 } from '../micro/packets.ts';

export interface FarEndSettings {
  readonly role: 'sink' | 'source';
  /** Hex. */
  readonly privateKey: string;
  /** Hex. */
  readonly peer: string;
  readonly port: number;
  /** Address and port of the measured device. */
  readonly endpoint: string;
  /** Addresses inside the tunnel, from this end to the measured one. */
  readonly from: string;
  readonly to: string;
  /** Bytes of the packets of a source. */
  readonly bytes: number;
}

export interface FarEndReport {
  readonly seconds: number;
}

/** Messages of sendmmsg. */
const BURST = 16;
const settings = JSON.parse(process.argv[2]!) as FarEndSettings;
const peer = Buffer.from(settings.peer, 'hex');
const clock = systemClock();
const cipher = createNativeCipher(nativeBinding())!;
const engine = new Engine({ crypto: opensslCrypto, cipher, random: systemRandom(), wall: clock.wall });
const udp = openNativeUdp(nativeBinding(), settings.port, 0, UDP_OFFLOADS.gso);
const incoming = makeDatagramBatch(1 << 20, 16);

engine.configure(
  {
    privateKey: Buffer.from(settings.privateKey, 'hex'),
    peers: [
      {
        publicKey: peer,
        endpoint: parseEndpoint(settings.endpoint)!,
        allowedIps: [{ prefix: parsePrefix(`${settings.to}/32`)! }],
      },
    ],
  },
  clock.now(),
);
engine.mtu = 1420;
engine.up(clock.now());
const timer = setInterval(() => {
  engine.timeout(clock.now());
  drain();
}, 100);
let started = false;
udp.onReadable(receive);
udp.onHandshakes(receive);
engine.configure({ peers: [{ publicKey: peer, updateOnly: true, initiate: true }] }, clock.now());
drain();

function receive(): void {
  for (const take of [() => udp.receiveHandshakes(incoming), () => udp.receive(incoming)])
    while (take() > 0)
      for (let taken = 0; taken < incoming.count; ) {
        taken = engine.receive(incoming, taken, clock.now());
        drain();
      }
}

function drain(): void {
  const hasSession = engine.events.some(({ kind }) => kind === 'session');
  if (engine.transmits.count > 0) udp.send(engine.transmits);
  engine.drained();
  if (!hasSession || started) return;
  started = true;
  // What the session begins with, such as a keepalive, is on its way.
  setTimeout(settings.role === 'sink' ? beSink : beSource, 200);
}

function beSink(): void {
  udp.pause();
  clearInterval(timer);
  console.log('ready');
  process.stdin.resume().on('end', () => process.exit(0));
}

function beSource(): void {
  udp.pause();
  clearInterval(timer);
  const stream = seal(settings.bytes);
  console.log('ready');
  createInterface({ input: process.stdin }).once('line', () => {
    const begun = performance.now();
    for (const batch of stream) udp.send(batch);
    const report: FarEndReport = { seconds: (performance.now() - begun) / 1000 };
    console.log(JSON.stringify(report));
    process.exit(0);
  });
}

/** Seals packets of so many bytes, in batches that can be sent as they are. */
function seal(bytes: number): DatagramBatch[] {
  const addresses = Uint8Array.from(`${settings.from}.${settings.to}`.split('.'), Number);
  const { bytes: packet } = superPacket({ ...UDP4, addresses });
  const batch = makePacketBatch(packet.length * BURST, BURST);
  for (let i = 0; i < BURST; i++) {
    batch.slab.set(packet, i * packet.length);
    batch.desc.set([i * packet.length, packet.length], i * PACKET_STRIDE);
  }
  batch.count = BURST;
  const batches: DatagramBatch[] = [];
  for (let sealed = 0; sealed < bytes; sealed += batch.slab.length)
    for (let taken = 0; taken < BURST; ) {
      taken = engine.send(batch, taken, clock.now());
      const { slab, desc, endpoints, count } = engine.transmits;
      const end = Math.max(
        ...Array.from({ length: count }, (_, i) => {
          const at = i * DATAGRAM_STRIDE;
          return desc[at + DATAGRAM_OFFSET]! + desc[at + DATAGRAM_LENGTH]!;
        }),
      );
      batches.push({
        slab: slab.slice(0, end),
        desc: desc.slice(0, count * DATAGRAM_STRIDE),
        endpoints: endpoints.slice(),
        count,
      });
      engine.drained();
    }
  return batches;
}
