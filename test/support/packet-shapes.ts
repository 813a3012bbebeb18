/**
 * Random IP packets, and random ranges as a TUN device might deliver them: mostly what Linux makes,
 * sometimes rare, damaged or with false header fields. Cheap enough to make millions.
 */
import { VNET_HEADER_SIZE } from '../../src/packet/batch.ts';
import { MAX_SEGMENTS } from '../../src/packet/segments.ts';
import { headersOf, type IpShape, PLAIN, PSH, put16, TCP, UDP, writeIpPacket } from './ip-packet.ts';
import { type Random, seeded } from './random.ts';
import { GSO, tunnelPacket, type Vnet, vnetOf, writeVnet } from './super-packet.ts';

/** Bytes that a slab needs behind the largest packet made here. */
export const SLACK = 512;
const LARGEST = 65_535;
const POOL = seeded(20).bytes(2 * LARGEST);
const PROTOCOLS = [1, 58, 0, 43, 44, 47, 50, 51, 59, 60, 132, 255];
/** Single flags, and some combinations. */
const FLAGS = [0, 1, 2, 4, 8, 0x10, 0x11, 0x12, 0x14, 0x18, 0x19, 0x30, 0x50, 0x90, 0xd0, 0xd8, 0xff];

export function between(random: Random, low: number, high: number): number {
  return low + random.below(high - low + 1);
}

/** Returns a payload length: mostly small, sometimes the maximum. */
function randomLength(random: Random): number {
  const kind = random.next();
  if (kind < 0.06) return 0;
  if (kind < 0.36) return between(random, 1, 40);
  if (kind < 0.78) return between(random, 41, 300);
  if (kind < 0.96) return between(random, 301, 1460);
  return kind < 0.997 ? between(random, 1461, 6000) : between(random, 6001, LARGEST);
}

export function randomPayload(random: Random, length: number): Uint8Array {
  // only zeros or only ones give the special sums
  const from = random.below(LARGEST);
  return random.chance(0.01) ? new Uint8Array(length).fill(random.pick([0, 0xff])) : POOL.subarray(from, from + length);
}

export function randomOptions(random: Random, most: number): Uint8Array {
  const from = random.below(LARGEST);
  return POOL.subarray(from, from + 4 * between(random, 0, most));
}

function randomExtensions(random: Random): [number, Uint8Array][] {
  return Array.from({ length: between(random, 1, 4) }, () => {
    const number = random.pick([0, 43, 44, 60, 60, 51, 59]);
    const units = number === 44 ? 0 : random.pick([0, 0, 1, 2, 9]);
    const bytes = new Uint8Array(7 + units * 8);
    bytes[0] = random.chance(0.05) ? random.below(256) : units;
    if (number === 44) put16(bytes, 1, random.pick([0, 1, 2, 7, 8, 0xfff8, random.below(65_536)]));
    return [number, bytes];
  });
}

/** Returns a valid shape, not necessarily a usual one. */
export function randomShape(random: Random): IpShape {
  const version = random.chance(0.5) ? 4 : 6;
  const kind = random.next();
  const shape: IpShape = {
    ...PLAIN,
    version,
    protocol: kind < 0.6 ? TCP : kind < 0.94 ? UDP : random.pick(PROTOCOLS),
    source: random.below(256),
    destination: random.below(256),
    tos: random.chance(0.6) ? 0 : random.below(256),
    ttl: random.below(256),
    id: random.chance(0.1) ? between(random, 65_500, 65_535) : random.below(65_536),
    fragment: random.chance(0.9) ? random.pick([0x4000, 0, 0x8000]) : random.below(65_536),
    flowLabel: random.below(1 << 20),
    sourcePort: random.below(65_536),
    destinationPort: random.below(65_536),
    sequence: random.chance(0.1) ? 2 ** 32 - between(random, 1, 9000) : random.below(2 ** 32),
    acknowledgement: random.below(2 ** 32),
    flags: random.chance(0.5) ? PLAIN.flags | (random.chance(0.5) ? PSH : 0) : random.pick(FLAGS),
    window: random.below(65_536),
    urgent: random.chance(0.9) ? 0 : random.below(65_536),
    reserved: random.chance(0.95) ? 0 : random.below(16),
    tcpOptions: random.chance(0.5) ? PLAIN.tcpOptions : randomOptions(random, 10),
    ipOptions: version === 6 || random.chance(0.88) ? PLAIN.ipOptions : randomOptions(random, 10),
    extensions: version === 4 || random.chance(0.8) ? PLAIN.extensions : randomExtensions(random),
  };
  const room = LARGEST - headersOf(shape) + (version === 6 ? 40 : 0);
  // at the limit of the length field, and sometimes beyond it
  const length = random.chance(0.002) ? room + between(random, -45, 5) : Math.min(randomLength(random), room);
  return { ...shape, payload: randomPayload(random, length) };
}

/** Damages a packet. @returns its new length; bytes beyond the old end are zero */
export function damage(random: Random, slab: Uint8Array, at: number, length: number): number {
  switch (random.below(8)) {
    case 0: // cut
      return random.below(length + 1);
    case 1: // cut, and the length field with it
      return fixLength(slab, at, random.below(length + 1));
    case 2: // padded
      return length + between(random, 1, 40);
    case 3: // a length field that lies
      put16(slab, at + (slab[at]! >> 4 === 4 ? 2 : 4), length + between(random, -50, 50));
      return length;
    case 4: // another header size or data offset
      slab[at + random.pick([0, 32, 52])] = random.below(256);
      return length;
    default:
      // a few bytes in the headers
      for (let times = between(random, 1, 3); times > 0; times--)
        slab[at + random.below(Math.min(length, 100))] = random.below(256);
      return length;
  }
}

function fixLength(slab: Uint8Array, at: number, length: number): number {
  if (length < 6) return length;
  if (slab[at]! >> 4 === 4) put16(slab, at + 2, length);
  else put16(slab, at + 4, Math.max(length - 40, 0));
  return length;
}

/** Returns a piece size that yields 1 to `most` pieces, rarely thousands. */
function randomUnit(random: Random, payload: number, most: number): number {
  const kind = random.next();
  if (kind < 0.45) return Math.ceil(payload / between(random, 1, Math.min(most, 4)));
  if (kind < 0.9) return Math.ceil(payload / between(random, 1, most));
  if (kind < 0.97) return random.pick([0, 1, 536, 1240, 1448, 65_535]);
  return payload < 3000 ? between(random, 1, 3) : random.below(65_536);
}

function falsifyVnet(random: Random, vnet: Vnet): Vnet {
  const near = (value: number): number => Math.max(0, value + random.pick([-4, -1, 1, 4, -value, 20, 65_535 - value]));
  const liar: { -readonly [K in keyof Vnet]: number } = { ...vnet };
  for (let times = between(random, 1, 2); times > 0; times--)
    switch (random.below(6)) {
      case 0:
        liar.flags = random.pick([0, 1, 2, 3, random.below(256)]);
        break;
      case 1:
        liar.gsoType = random.pick([0, 1, 3, 4, 5, vnet.gsoType | GSO.ecn, random.below(256)]);
        break;
      case 2:
        liar.gsoSize = random.pick([0, 1, 65_535, random.below(65_536)]);
        break;
      case 3:
        liar.csumStart = random.pick([near(vnet.csumStart), random.below(128), random.below(65_536)]);
        break;
      case 4:
        liar.csumOffset = random.pick([near(vnet.csumOffset), random.below(128), random.below(65_536)]);
        break;
      default:
        liar.gsoType = GSO.none;
    }
  return liar;
}

/**
 * Writes a range, vnet header and packet, followed by zeros. @param most the usual maximum of
 * pieces. @returns its length
 */
export function writeRange(random: Random, slab: Uint8Array, at: number, most = 64): number {
  const packet = at + VNET_HEADER_SIZE;
  let shape = randomShape(random);
  if (random.chance(0.2)) return writeTunnel(random, slab, at, shape, most);
  // the maximum number of pieces, or one more
  const tiny = random.chance(0.001) ? between(random, 1, 3) : 0;
  if (tiny > 0) shape = { ...shape, payload: randomPayload(random, MAX_SEGMENTS * tiny + between(random, -1, 1)) };
  const known = shape.protocol === TCP || shape.protocol === UDP;
  const offload = random.next();
  const whole = !known || offload < 0.25;
  // Linux leaves the pseudo header's sum; without NEEDS_CSUM the checksum is complete.
  const partial = known && (whole ? random.chance(0.5) : offload < 0.9);
  const sum = partial ? 'partial' : random.chance(0.9) ? 'right' : random.below(65_536);
  let length = writeIpPacket(slab, packet, { ...shape, sum });
  slab.fill(0, packet + length, packet + length + SLACK);
  const unit = whole ? 0 : tiny || randomUnit(random, shape.payload.length, most);
  let vnet = known ? vnetOf(shape, unit) : NO_OFFLOAD;
  if (whole) vnet = { ...vnet, gsoType: GSO.none };
  if (!partial) vnet = { ...vnet, flags: 0 };
  vnet = { ...vnet, headerLength: random.chance(0.5) ? vnet.headerLength : random.below(65_536) };
  writeVnet(slab, at, random.chance(0.12) ? falsifyVnet(random, vnet) : vnet);
  if (random.chance(0.15)) length = damage(random, slab, packet, length);
  return random.chance(0.01) ? random.below(VNET_HEADER_SIZE + 1) : VNET_HEADER_SIZE + length;
}

/** Writes a super-packet in a UDP tunnel, sometimes damaged. */
function writeTunnel(random: Random, slab: Uint8Array, at: number, shape: IpShape, most: number): number {
  const outer: IpShape = { ...randomShape(random), protocol: UDP, tcpOptions: PLAIN.tcpOptions };
  const known = shape.protocol === TCP || shape.protocol === UDP;
  const before = randomPayload(random, random.chance(0.8) ? random.pick([22, 8, 38]) : random.below(60));
  const inner = { ...shape, ...(known ? {} : { protocol: TCP }) };
  const room = LARGEST - headersOf(outer) - before.length - headersOf(inner);
  const payload = inner.payload.subarray(0, room);
  const unit = randomUnit(random, payload.length, most);
  const { vnet, packet } = tunnelPacket(outer, before, { ...inner, payload }, unit, random.chance(0.5));
  writeVnet(slab, at, random.chance(0.2) ? falsifyVnet(random, vnet) : vnet);
  slab.set(packet, at + VNET_HEADER_SIZE);
  let { length } = packet;
  slab.fill(0, at + VNET_HEADER_SIZE + length, at + VNET_HEADER_SIZE + length + SLACK);
  if (random.chance(0.15)) length = damage(random, slab, at + VNET_HEADER_SIZE, length);
  return VNET_HEADER_SIZE + length;
}

const NO_OFFLOAD: Vnet = { flags: 0, gsoType: GSO.none, headerLength: 0, gsoSize: 0, csumStart: 0, csumOffset: 0 };
