/**
 * Where the datagram of a packet begins, and which fragments belong to one packet
 * (src/packet/udp-payload.ts).
 */
import { describe, expect, test } from 'vitest';
import { FRAGMENT_NAME_SIZE, fragmentKind, udpPayload, writeFragmentName } from '../../src/packet/udp-payload.ts';
import { DF, type IpShape, ipPacket, MF, TCP, UDP } from '../support/ip-packet.ts';

const FRAGMENT = 44;
/** An IPv6 fragment header without its first byte. */
const fragment6 = (offset: number, more: number, id: number) =>
  [FRAGMENT, Uint8Array.of(0, offset >> 5, ((offset << 3) & 0xff) | more, id >> 24, id >> 16, id >> 8, id)] as const;

const SIX = { version: 6, protocol: UDP } as const;
const FOUR = { version: 4, protocol: UDP } as const;
const shapes = {
  4: {
    whole: FOUR,
    first: { ...FOUR, fragment: MF },
    rest: { ...FOUR, fragment: 185 },
    middle: { ...FOUR, fragment: MF | 185 },
  },
  6: {
    whole: SIX,
    first: { ...SIX, extensions: [fragment6(0, 1, 0xfedcba98)] },
    rest: { ...SIX, extensions: [fragment6(185, 0, 0xfedcba98)] },
    middle: { ...SIX, extensions: [fragment6(185, 1, 0xfedcba98)] },
  },
} as const;

/** Places a packet at some offset of a slab. */
function inSlab(shape: Partial<IpShape>): [Uint8Array, number, number] {
  const packet = ipPacket(shape);
  const slab = new Uint8Array(packet.length + 30).fill(0xff);
  slab.set(packet, 10);
  return [slab, 10, packet.length];
}

/** Makes an offset relative to the IP header; -1 stays -1. */
function payloadOf(shape: Partial<IpShape>, cut = 0): number {
  const [slab, at, length] = inSlab(shape);
  const payload = udpPayload(slab, at, length - cut);
  return payload < 0 ? payload : payload - at;
}

describe.each([4, 6] as const)('IPv%i', version => {
  const { whole, first, rest, middle } = shapes[version];
  const headers = version === 4 ? 28 : 48;
  const payload = new Uint8Array(40).fill(1);

  test('the payload follows the UDP header, also in a first fragment', () => {
    expect(payloadOf({ ...whole, payload })).toBe(headers);
    expect(payloadOf({ ...first, payload })).toBe(version === 4 ? 28 : 56);
    expect(payloadOf(whole)).toBe(headers);
  });

  test('other fragments, TCP, and packets that end before the ports have no payload', () => {
    for (const shape of [rest, middle, { ...whole, protocol: TCP }]) expect(payloadOf({ ...shape, payload })).toBe(-1);
    for (let cut = 1; cut <= 8; cut++) expect(payloadOf(whole, cut)).toBe(-1);
    for (let cut = 1; cut <= 8; cut++) expect(payloadOf(first, cut)).toBe(-1);
    expect(payloadOf({ ...first, protocol: TCP, payload })).toBe(-1);
  });

  test('first and later fragments are told apart', () => {
    const kinds = [whole, first, middle, rest].map(shape => fragmentKind(...inSlab({ ...shape, payload })));
    expect(kinds).toEqual([0, 1, 2, 2]);
    if (version === 4) expect(fragmentKind(...inSlab({ ...whole, fragment: DF }))).toBe(0);
  });

  test('all fragments of a packet share one name, which differs from other packets', () => {
    const name = (shape: Partial<IpShape>) => {
      const bytes = new Uint8Array(FRAGMENT_NAME_SIZE).fill(0xee);
      const [slab, at] = inSlab({ ...shape, payload });
      writeFragmentName(slab, at, bytes);
      return Buffer.from(bytes).toString('hex');
    };
    expect(new Set([first, middle, rest, { ...rest, sourcePort: 0xabcd }].map(name)).size).toBe(1);
    const otherId = version === 4 ? { ...rest, id: 101 } : { ...rest, extensions: [fragment6(185, 0, 0xfedcba99)] };
    for (const other of [{ ...rest, source: 9 }, { ...rest, destination: 9 }, otherId])
      expect(name(other)).not.toBe(name(first));
  });
});

test('after IPv4 options', () => {
  expect(payloadOf({ ...FOUR, ipOptions: new Uint8Array(8) })).toBe(36);
});

test('an IPv6 packet whose TCP header looks like a fragment header has no payload', () => {
  expect(payloadOf({ version: 6, protocol: TCP, sourcePort: UDP << 8, destinationPort: 0 })).toBe(-1);
});

test('an IPv6 packet that ends in its fragment header is no fragment', () => {
  const [slab, at] = inSlab(shapes[6].first);
  expect([47, 48].map(length => fragmentKind(slab, at, length))).toEqual([0, 1]);
});
