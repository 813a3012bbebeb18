/**
 * `npm run bench -- heap`: measures how much the data path allocates on the JavaScript heap and how
 * often it calls into the addon. Two engines with the addon's cipher exchange batches as the device
 * loop does, ten million packets per load. During the exchange, V8's sampling heap profiler also
 * counts memory that was garbage-collected.
 */
import { randomBytes, randomFillSync } from 'node:crypto';
import { Session } from 'node:inspector/promises';
import { parseAddress } from '#dist/base/address.js';
import { makeEndpoint } from '#dist/base/endpoint.js';
import { parsePrefix } from '#dist/base/prefix.js';
import { createNativeCrypto } from '#dist/crypto/node/native.js';
import { opensslCrypto } from '#dist/crypto/node/openssl.js';
import { nativeBinding } from '#dist/io/native-binding.js';
import { createNativeCipher } from '#dist/io/native-cipher.js';
import { makePacketBatch, PACKET_LENGTH, PACKET_OFFSET, PACKET_STRIDE, type PacketBatch } from '#dist/packet/batch.js';
import { Engine } from '#dist/protocol/engine.js';
import { plainPacket, superPacket, TCP4 } from '../micro/packets.ts';
import { Progress } from '../progress.ts';
import { table } from '../table.ts';
import { allocations, type Site } from './sites.ts';

export interface HeapRow {
  readonly load: string;
  readonly packets: number;
  readonly bytesPerPacket: number;
  readonly crossingsPerPacket: number;
  readonly sites: readonly Site[];
}

const TEN_MILLION = 10_000_000;
const WARM_UP_TURNS = 20;
/** Sampling interval of the profiler in bytes. */
const SAMPLING_INTERVAL = 4096;
const BATCH = 128;

/** Runs all loads. Prints a progress line on stderr and a table on stdout. */
export async function runHeap({ quick }: { readonly quick: boolean }): Promise<HeapRow[]> {
  const rows = await profileLoads(quick ? TEN_MILLION / 10 : TEN_MILLION);
  process.stdout.write(markdown(rows));
  return rows;
}

export async function profileLoads(packets: number): Promise<HeapRow[]> {
  const loads = [
    { name: 'packets of 64 bytes, one by one', packet: plainPacket(64), each: 1, count: BATCH },
    {
      name: 'TCP in super-packets of 64 KiB',
      packet: superPacket(TCP4).bytes,
      each: superPacket(TCP4).segments,
      count: 8,
    },
  ];
  const progress = new Progress(loads.length);
  const rows: HeapRow[] = [];
  for (const { name, packet, each, count } of loads) {
    progress.begin(name);
    const row = await profile(name, batchOf(packet, count), each * count, packets);
    progress.end(name, `${row.bytesPerPacket.toFixed(2)} bytes of heap a packet`);
    rows.push(row);
  }
  progress.finish();
  return rows;
}

async function profile(load: string, batch: PacketBatch, each: number, packets: number): Promise<HeapRow> {
  const crossings = { count: 0 };
  const { a, b } = connectEngines(crossings);
  let now = 1;
  let arrived = 0;
  const turn = (): void => {
    // Engines do not modify the packets that they receive, so every turn can send the same batch.
    for (let taken = 0; taken < batch.count; ) {
      taken = a.send(batch, taken, now);
      // The other engine opens the messages in place.
      for (let opened = 0; opened < a.transmits.count; ) {
        opened = b.receive(a.transmits, opened, now);
        arrived += b.deliveries.count;
        b.drained();
      }
      a.drained();
    }
  };
  for (let i = 0; i < WARM_UP_TURNS; i++) turn();
  arrived = 0;
  crossings.count = 0;
  const session = new Session();
  session.connect();
  await session.post('HeapProfiler.startSampling', {
    samplingInterval: SAMPLING_INTERVAL,
    includeObjectsCollectedByMajorGC: true,
    includeObjectsCollectedByMinorGC: true,
  });
  const turns = Math.ceil(packets / each);
  for (let i = 0; i < turns; i++) {
    now += 0.001; // small steps, so that no session rekeys: only the cost of packets counts
    turn();
  }
  const { profile: found } = await session.post('HeapProfiler.stopSampling');
  session.disconnect();
  const sent = turns * each;
  if (arrived !== sent) throw new Error(`${load}: ${arrived} of ${sent} packets arrived`);
  const sites = allocations(found);
  return {
    load,
    packets: sent,
    bytesPerPacket: sites.reduce((sum, { bytes }) => sum + bytes, 0) / sent,
    crossingsPerPacket: crossings.count / sent,
    sites: sites.slice(0, 5),
  };
}

/** Returns two engines that have a confirmed session and count their cipher calls. */
function connectEngines(crossings: { count: number }): { a: Engine; b: Engine } {
  const binding = nativeBinding();
  const counted = {
    ...binding,
    cipherSeal(...given: Parameters<typeof binding.cipherSeal>) {
      crossings.count++;
      binding.cipherSeal(...given);
    },
    cipherOpen(...given: Parameters<typeof binding.cipherOpen>) {
      crossings.count++;
      binding.cipherOpen(...given);
    },
  };
  const crypto = createNativeCrypto(binding) ?? opensslCrypto;
  const make = () => {
    const privateKey = Uint8Array.from(randomBytes(32));
    const wall = () => BigInt(Date.now()) * 1_000_000n;
    const cipher = createNativeCipher(counted)!;
    const engine = new Engine({ crypto, cipher, random, wall });
    engine.configure({ privateKey }, 0);
    engine.up(0);
    return { engine, publicKey: crypto.publicKey(privateKey) };
  };
  const [a, b] = [make(), make()];
  const endpoint = makeEndpoint(parseAddress('192.0.2.1')!, 51820);
  const allowedIps = [{ prefix: parsePrefix('0.0.0.0/0')! }];
  b.engine.configure({ peers: [{ endpoint, allowedIps, publicKey: a.publicKey }] }, 0);
  a.engine.configure({ peers: [{ endpoint, allowedIps, publicKey: b.publicKey }] }, 0);
  // Exchange the initiation, the response, and the first packet, which confirms the session.
  a.engine.send(batchOf(plainPacket(64), 1), 0, 0);
  for (const [from, to] of [
    [a.engine, b.engine],
    [b.engine, a.engine],
    [a.engine, b.engine],
  ] as const)
    transfer(from, to);
  return { a: a.engine, b: b.engine };
}

/** Passes on copies of the transmits, because an engine must be drained before its next input. */
function transfer(from: Engine, to: Engine): void {
  const { count, slab, desc, endpoints } = from.transmits;
  const copy = { count, slab: slab.slice(), desc: desc.slice(), endpoints: endpoints.slice() };
  from.drained();
  to.receive(copy, 0, 0);
}

/**
 * Fills `bytes` with random values. Four bytes are a receiver index: it gets a value in the upper
 * half of the range, which V8 does not store as a small integer, so this is the costlier case.
 */
function random(bytes: Uint8Array): void {
  randomFillSync(bytes);
  if (bytes.length === 4) bytes[3]! |= 0x80;
}

function batchOf(packet: Uint8Array, count: number): PacketBatch {
  const batch = makePacketBatch(packet.length * count, count);
  for (let i = 0; i < count; i++) {
    batch.slab.set(packet, i * packet.length);
    batch.desc[i * PACKET_STRIDE + PACKET_OFFSET] = i * packet.length;
    batch.desc[i * PACKET_STRIDE + PACKET_LENGTH] = packet.length;
  }
  batch.count = count;
  return batch;
}

function markdown(rows: readonly HeapRow[]): string {
  const header = ['', 'packets', 'bytes of heap a packet', 'crossings a packet', 'most of it'];
  const body = rows.map(row => [
    row.load,
    row.packets.toLocaleString('en'),
    row.bytesPerPacket.toFixed(3),
    row.crossingsPerPacket.toFixed(4),
    row.sites.map(({ name, bytes }) => `${name} ${(bytes / row.packets).toFixed(3)}`).join(', '),
  ]);
  return table([header, ...body]);
}
