/**
 * Random batches of bare IP packets as they come out of tunnels: interleaved runs of a few flows,
 * in which each packet is what its flow would send next, or nearly.
 */
import type { Mutable } from '../../src/base/mutable.ts';
import { PACKET_LENGTH, PACKET_OFFSET, PACKET_STRIDE } from '../../src/packet/batch.ts';
import { ACK, get16, headersOf, type IpShape, PLAIN, PSH, put16, TCP, UDP, writeIpPacket } from './ip-packet.ts';
import { between, damage, randomOptions, randomPayload, randomShape, SLACK } from './packet-shapes.ts';
import type { Random } from './random.ts';
import { OVERLAY, vxlanPacket } from './vxlan-packet.ts';

/** The memory of a batch: a slab and descriptors. */
export interface RunSpace {
  readonly slab: Uint8Array;
  readonly desc: Int32Array;
}

/** Maximum packets of a batch. */
export const MOST_PACKETS = 140;
const SPACE = 1 << 20;

export function makeRunSpace(): RunSpace {
  return { slab: new Uint8Array(SPACE + 70_000 + SLACK), desc: new Int32Array(MOST_PACKETS * PACKET_STRIDE) };
}

function randomFlow(random: Random): Mutable<IpShape> {
  const version = random.chance(0.5) ? 4 : 6;
  return {
    ...PLAIN,
    version,
    protocol: random.chance(0.6) ? TCP : UDP,
    // few values, so that flows collide
    source: random.below(2),
    destination: random.below(2),
    sourcePort: random.below(3),
    destinationPort: random.below(2),
    tos: random.chance(0.7) ? 0 : random.below(256),
    ttl: between(random, 60, 64),
    id: random.chance(0.8) ? random.below(1000) : between(random, 65_530, 65_535),
    fragment: random.pick([0x4000, 0x4000, 0, 0, 0x8000, 0xc000]),
    flowLabel: random.chance(0.7) ? 0 : random.below(1 << 20),
    sequence: random.chance(0.8) ? random.below(2 ** 32) : 2 ** 32 - between(random, 1, 3000),
    tcpOptions: random.chance(0.5) ? PLAIN.tcpOptions : randomOptions(random, 10),
  };
}

/** Changes one property from the previous packet. */
function changeOne(random: Random, shape: Mutable<IpShape>): void {
  switch (random.below(20)) {
    case 0:
      shape.acknowledgement++;
      break;
    case 1:
      shape.window++;
      break;
    case 2:
      shape.tos ^= random.pick([1, 2, 3, 4, 0x80]);
      break;
    case 3:
      shape.ttl--;
      break;
    case 4:
      shape.fragment ^= random.pick([0x4000, 0x8000, 0x2000, 1]);
      break;
    case 5:
      shape.id = (shape.id + random.pick([1, 65_535, 100])) & 0xffff;
      break;
    case 6:
      shape.flowLabel ^= 1 << random.below(20);
      break;
    case 7:
      shape.sequence = (shape.sequence + random.pick([1, 2 ** 32 - 1, 100, 2 ** 31])) % 2 ** 32;
      break;
    case 8:
      shape.flags = random.pick([0, 1, 2, 4, 0x11, 0x12, 0x14, 0x19, 0x30, 0x50, 0x90, random.below(256)]);
      break;
    case 9:
      shape.tcpOptions = randomOptions(random, 10);
      break;
    case 10:
      shape.urgent = random.below(3);
      break;
    case 11:
      shape.reserved = random.below(16);
      break;
    case 12:
      shape.ipOptions = randomOptions(random, 3);
      break;
    case 13:
      shape.extensions = [[random.pick([0, 43, 44, 51, 60]), new Uint8Array(7)]];
      break;
    case 14:
      shape.sum = random.pick([0, 0xffff, random.below(65_536)]);
      break;
    case 15:
      shape.protocol = random.pick([TCP, UDP, 1, 58, 59, random.below(256)]);
      break;
    case 16:
      shape.version = shape.version === 4 ? 6 : 4;
      break;
    default:
      shape.sum = random.below(65_536);
  }
}

/** Returns the payload length of a flow's next packet, whose pieces have `unit` bytes. */
function nextLength(random: Random, unit: number, steady: boolean): number {
  if (steady) return unit;
  const kind = random.next();
  if (kind < 0.85) return unit;
  if (kind < 0.92) return random.below(unit);
  return kind < 0.96 ? unit + between(random, 1, 3) : random.pick([0, 1, unit]);
}

/**
 * Changes the payload so that the checksum is zero, and writes one of the two zeros. Both are
 * correct for TCP; for UDP one of them means no checksum.
 */
function makeZeroSum(random: Random, slab: Uint8Array, at: number, shape: IpShape): void {
  const headers = headersOf(shape);
  const field = at + headers - (shape.protocol === TCP ? 4 + shape.tcpOptions.length : 2);
  if (shape.payload.length < 2 || shape.sum !== 'right' || (shape.protocol !== TCP && shape.protocol !== UDP)) return;
  const word = get16(slab, at + headers) + get16(slab, field);
  put16(slab, at + headers, word > 0xffff ? word - 0xffff : word);
  put16(slab, field, random.pick([0, 0xffff]));
}

/** Writes a flow whose packets fill a group to the last byte of 65,535, or one byte beyond. */
function writeBrim(random: Random, { slab, desc }: RunSpace): number {
  const flow = randomFlow(random);
  const unit = between(random, 8000, 21_000);
  const room = 65_535 - headersOf(flow);
  const lengths = Array<number>(Math.floor(room / unit)).fill(unit);
  lengths.push(Math.min((room % unit) + between(random, -1, 1), unit), unit);
  let at = random.below(20);
  lengths.forEach((length, i) => {
    const bytes = writeIpPacket(slab, at, { ...flow, payload: randomPayload(random, length) });
    desc[i * PACKET_STRIDE + PACKET_OFFSET] = at;
    desc[i * PACKET_STRIDE + PACKET_LENGTH] = bytes;
    at += bytes;
    flow.sequence = (flow.sequence + length) % 2 ** 32;
    flow.id = (flow.id + 1) & 0xffff;
  });
  return lengths.length;
}

/**
 * Writes a batch, in which some descriptors may lie outside the slab. @returns the number of
 * packets
 */
export function writeRuns(random: Random, space: RunSpace): number {
  if (random.chance(0.005)) return writeBrim(random, space);
  const { slab, desc } = space;
  const many = random.chance(0.02);
  const count = many ? between(random, 30, MOST_PACKETS) : between(random, 1, 12);
  const flows = many && random.chance(0.3) ? between(random, 30, 50) : between(random, 1, 3);
  const state = Array.from({ length: flows }, (_, i) => {
    const flow = randomFlow(random);
    if (flows > 20) flow.sourcePort = i;
    const vxlan = random.chance(0.3) ? { outer: randomOuter(random), identifier: random.below(2) } : undefined;
    return { flow, unit: randomUnit(random, many), vxlan, summed: random.chance(0.5) };
  });
  // a long undisturbed transfer, which fills groups
  const steady = many && random.chance(0.5);
  const errors = steady ? 0 : random.pick([0, 0.05, 0.2, 0.5]);
  let current = 0;
  let at = random.below(20);
  for (let i = 0; i < count; i++) {
    if (random.chance(0.25)) current = flows > 20 ? (current + 1) % flows : random.below(flows);
    const { flow, unit, vxlan, summed } = state[current]!;
    const wanted = nextLength(random, unit, steady);
    const length = at + wanted < SPACE - 40_000 ? wanted : 1;
    flow.payload = randomPayload(random, length);
    flow.flags = !steady && random.chance(0.06) ? ACK | PSH : ACK;
    let shape: Mutable<IpShape> = { ...flow };
    if (random.chance(errors)) changeOne(random, shape);
    else if (random.chance(errors / 10)) shape = { ...randomShape(random), payload: flow.payload };
    let bytes: number;
    if (vxlan === undefined || shape.payload.length > 30_000) bytes = writeIpPacket(slab, at, shape);
    else {
      const outer = { ...vxlan.outer };
      if (random.chance(errors / 2)) changeOne(random, outer);
      if (outer.version === 6) Object.assign(outer, { ipOptions: PLAIN.ipOptions });
      const packet = vxlanPacket({ ...vxlan, outer: { ...outer, protocol: UDP } }, shape, summed);
      slab.set(packet, at);
      bytes = packet.length;
      vxlan.outer.id = (vxlan.outer.id + 1) & 0xffff;
    }
    slab.fill(0, at + bytes, at + bytes + SLACK);
    if (vxlan === undefined && random.chance(errors / 10)) makeZeroSum(random, slab, at, shape);
    if (random.chance(errors / 4)) bytes = damage(random, slab, at, bytes);
    desc[i * PACKET_STRIDE + PACKET_OFFSET] = at;
    desc[i * PACKET_STRIDE + PACKET_LENGTH] = bytes;
    if (random.chance(errors / 40)) misplace(random, desc, i, slab.length);
    at += bytes + 16 + random.below(17);
    if (steady || random.chance(0.98)) {
      flow.sequence = (flow.sequence + length) % 2 ** 32;
      flow.id = (flow.id + 1) & 0xffff;
    }
  }
  return count;
}

function randomOuter(random: Random): Mutable<IpShape> {
  const ends = { destination: 1, sourcePort: 50_000, destinationPort: random.chance(0.95) ? OVERLAY.port : 4788 };
  return { ...randomFlow(random), ...ends, version: 4, protocol: UDP };
}

function randomUnit(random: Random, many: boolean): number {
  const kind = random.next();
  if (kind < 0.6) return between(random, 1, 64);
  if (kind < 0.9) return between(random, 65, 600);
  if (kind < 0.985) return many ? between(random, 900, 1400) : 1448;
  return between(random, 5000, 33_000);
}

function misplace(random: Random, desc: Int32Array, i: number, slabLength: number): void {
  const at = i * PACKET_STRIDE;
  const [offset, length] = [desc[at + PACKET_OFFSET]!, desc[at + PACKET_LENGTH]!];
  const [badOffset, badLength] = random.pick([
    [-1, length],
    [offset, 0],
    [offset, -1],
    [slabLength - length, length + 1],
    [slabLength, 1],
    [0x7fffffff, 0x7fffffff],
    [-0x80000000, -0x80000000],
    // the previous packet again
    [desc[Math.max(at - PACKET_STRIDE, 0) + PACKET_OFFSET]!, desc[Math.max(at - PACKET_STRIDE, 0) + PACKET_LENGTH]!],
  ] as const);
  desc[at + PACKET_OFFSET] = badOffset;
  desc[at + PACKET_LENGTH] = badLength;
}
