/** Which datagrams are messages: by the type word and the size, and by nothing else. */
import { describe, expect, test } from 'vitest';
import { isHandshakeType, messageType } from '../../src/packet/message-type.ts';

/** A datagram at some offset of a slab that holds the same type before and after it. */
function datagram(type: number, length: number): [Uint8Array, number, number] {
  const slab = new Uint8Array(length + 20).fill(type);
  new DataView(slab.buffer).setUint32(10, type, true);
  return [slab, 10, length];
}

describe('messageType', () => {
  test.each([
    ['initiation', 1, 148],
    ['response', 2, 92],
    ['cookie reply', 3, 64],
  ])('%s: one size', (_name, type, size) => {
    expect(messageType(...datagram(type, size))).toBe(type);
    for (const other of [0, 4, 31, 32, size - 1, size + 1, 1500]) expect(messageType(...datagram(type, other))).toBe(0);
  });

  test('transport: a keepalive or more', () => {
    for (const length of [32, 33, 48, 148, 1500]) expect(messageType(...datagram(4, length))).toBe(4);
    for (const length of [0, 4, 31]) expect(messageType(...datagram(4, length))).toBe(0);
  });

  test('no other type, and no reserved byte that is not zero', () => {
    for (const type of [0, 5, 255, 0x0101, 0x0104, 0x010001, 0x01000004])
      for (const length of [32, 64, 92, 148]) expect(messageType(...datagram(type, length))).toBe(0);
  });
});

test('the type word alone distinguishes a handshake from data', () => {
  for (const type of [1, 2, 3]) expect(isHandshakeType(...datagram(type, 4))).toBe(true);
  for (const type of [0, 4, 5, 0x0101]) expect(isHandshakeType(...datagram(type, 148))).toBe(false);
  for (const length of [0, 3]) expect(isHandshakeType(...datagram(1, length))).toBe(false);
});
