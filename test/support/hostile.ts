/**
 * Input that no well-meaning peer sends: ranges as the reader of a TUN device may get them,
 * datagrams, MTUs.
 */
import { ipPacket, TCP, UDP } from './ip-packet.ts';
import { between, randomPayload, randomShape, SLACK, writeRange } from './packet-shapes.ts';
import type { Random } from './random.ts';
import { rangeOf, superPacket } from './super-packet.ts';

const scratch = new Uint8Array(140_000 + SLACK);

export function hostileMtu(random: Random): number {
  return random.pick([65_535, random.below(65_536), random.below(65_536), random.below(100), 1420, 0]);
}

/** Returns a vnet header and a packet. */
export function hostileRange(random: Random): Uint8Array {
  const kind = random.next();
  const version = random.chance(0.5) ? 4 : 6;
  const protocol = random.chance(0.5) ? TCP : UDP;
  const addresses = { version, protocol, source: random.below(256), destination: random.below(256) } as const;
  // a packet as in the other fuzz tests, possibly damaged
  if (kind < 0.4) return scratch.slice(0, writeRange(random, scratch, 0));
  // as large as possible, split into arbitrary pieces
  const payload = randomPayload(random, between(random, 60_000, 65_435));
  const size = random.pick([random.below(65_536), between(random, 65_380, 65_535), between(random, 1, 100)]);
  if (kind < 0.6) return superPacket({ ...addresses, payload }, size);
  // not split, around the largest size that fits
  if (kind < 0.75) {
    const length = between(random, 65_400, 65_535) - (version === 4 ? 28 : 48);
    return rangeOf({}, ipPacket({ ...addresses, protocol: UDP, payload: randomPayload(random, length) }));
  }
  // any vnet header before any packet
  const vnet = {
    flags: random.pick([0, 1, 2, 3, random.below(256)]),
    gsoType: random.pick([0, 1, 3, 4, 5, 0x81, 0x84, random.below(256)]),
    headerLength: random.below(65_536),
    gsoSize: random.pick([0, 1, random.below(65_536), 65_535, 65_480]),
    csumStart: random.pick([20, 40, random.below(128), random.below(65_536)]),
    csumOffset: random.pick([6, 16, random.below(65_536)]),
  };
  if (kind < 0.95) {
    const shape = randomShape(random);
    const large = random.chance(0.3) ? { payload: randomPayload(random, between(random, 50_000, 65_000)) } : {};
    return rangeOf(vnet, ipPacket({ ...shape, ...large }));
  }
  return rangeOf(vnet, random.bytes(random.below(200)));
}

/** @param heard earlier datagrams, to replay, truncate, or modify */
export function hostileDatagram(random: Random, heard: readonly Uint8Array[]): Uint8Array {
  const kind = random.next();
  if (heard.length === 0 || kind < 0.3) {
    const bytes = random.bytes(random.pick([0, 1, 31, 32, 64, 92, 148, random.below(1500), random.below(65_000)]));
    if (bytes.length > 4 && random.chance(0.7)) bytes.set([1 + random.below(5), 0, 0, 0]);
    return bytes;
  }
  const bytes = Uint8Array.from(random.pick(heard));
  if (kind < 0.5) return bytes.subarray(0, random.below(bytes.length));
  if (kind < 0.8) bytes[random.below(bytes.length)]! ^= 1 << random.below(8);
  return bytes;
}
