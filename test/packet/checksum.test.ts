/**
 * The Internet checksum: the values of RFC 1071 and 1624, and a comparison with a slow reference on
 * every length and offset.
 */
import { describe, expect, test } from 'vitest';
import {
  addRange,
  checksum,
  fold,
  PROTOCOL_TCP,
  PROTOCOL_UDP,
  pseudoHeader,
  updateChecksum,
} from '../../src/packet/checksum.ts';
import { ipPacket, onesSum, pseudoSum } from '../support/ip-packet.ts';
import { withSeed } from '../support/random.ts';
import { hex } from '../support/vectors.ts';

test('RFC 1071 section 3: the sum of 0001 f203 f4f5 f6f7 is ddf2', () => {
  const bytes = hex('0001f203f4f5f6f7');
  expect(addRange(0, bytes, 0, 8)).toBe(0x2ddf0);
  expect(fold(addRange(0, bytes, 0, 8))).toBe(0xddf2);
  expect(checksum(addRange(0, bytes, 0, 8))).toBe(0x220d);
});

test('RFC 1071 section 2B: a sum of swapped words is the swapped sum', () => {
  expect(fold(addRange(0, hex('010003f2f5f4f7f6'), 0, 8))).toBe(0xf2dd);
});

test('RFC 1624 section 4: dd2f, with 5555 changed to 3285, becomes 0000 and not ffff', () => {
  expect(updateChecksum(0xdd2f, 0x5555, 0x3285)).toBe(0x0000);
});

test('an IPv4 header: b861, and with it in place the sum is ffff', () => {
  const header = hex('450000730000400040110000c0a80001c0a800c7');
  expect(checksum(addRange(0, header, 0, 20))).toBe(0xb861);
  header.set([0xb8, 0x61], 10);
  expect(fold(addRange(0, header, 0, 20))).toBe(0xffff);
});

test('a trailing odd byte is the high half of a word', () => {
  expect(addRange(0, Uint8Array.of(0x12, 0x34, 0x56), 0, 3)).toBe(0x1234 + 0x5600);
});

test('an empty range and zeros add nothing; ffff, the other zero, stays ffff', () => {
  expect(addRange(7, new Uint8Array(9), 3, 0)).toBe(7);
  expect(fold(addRange(0, new Uint8Array(40), 0, 40))).toBe(0);
  expect(checksum(0)).toBe(0xffff);
  expect(fold(0xffff)).toBe(0xffff);
  expect(fold(0x1fffe)).toBe(0xffff);
});

test('the largest documented sum: 65,575 bytes of ff', () => {
  const bytes = new Uint8Array(65_575).fill(0xff);
  expect(fold(addRange(0, bytes, 0, bytes.length))).toBe(onesSum(bytes, 0));
  expect(addRange(4 * 0xffff, bytes, 0, bytes.length)).toBeLessThan(2 ** 32);
});

describe('against a slow reference', () => {
  test('every length up to 300 at every alignment', () => {
    withSeed(random => {
      const bytes = random.bytes(320);
      for (let length = 0; length <= 300; length++)
        for (let at = 0; at < 17; at += 1 + (length & 3))
          expect(fold(addRange(length, bytes, at, length))).toBe(onesSum(bytes.subarray(at, at + length), length));
    });
  });

  test('an update equals a new sum', () => {
    withSeed(random => {
      for (let i = 0; i < 2000; i++) {
        const bytes = random.bytes(20);
        const at = random.below(10) * 2;
        const before = checksum(addRange(0, bytes, 0, 20));
        const from = (bytes[at]! << 8) | bytes[at + 1]!;
        const to = random.pick([0, 0xffff, random.below(65_536)]);
        bytes[at] = to >> 8;
        bytes[at + 1] = to;
        const after = updateChecksum(before, from, to);
        // the check of a receiver: words and checksum add up to ffff
        expect(fold(addRange(after, bytes, 0, 20))).toBe(0xffff);
      }
    });
  });

  test.each([
    [4, PROTOCOL_TCP],
    [4, PROTOCOL_UDP],
    [6, PROTOCOL_TCP],
    [6, PROTOCOL_UDP],
  ] as const)('the pseudo header of IPv%i, protocol %i', (version, protocol) => {
    const packet = ipPacket({ version, protocol, source: 200, destination: 77 });
    const sum = pseudoHeader(packet, version === 4 ? 12 : 8, version === 4 ? 4 : 16, protocol);
    expect(fold(sum + 1234)).toBe(pseudoSum(packet, 0, version, protocol, 1234));
  });
});
