/** Integers in a slab against DataView, at odd offsets, at their limits. */
import { describe, expect, test } from 'vitest';
import {
  readI32le,
  readU16be,
  readU16le,
  readU32be,
  readU32le,
  writeU16be,
  writeU16le,
  writeU32be,
  writeU32le,
} from '../../src/packet/byte-order.ts';

const U16 = [0, 1, 0x7f, 0x80, 0xff, 0x100, 0x1234, 0x7fff, 0x8000, 0xffff];
const U32 = [0, 1, 0xff, 0x1234, 0xffff, 0x10000, 0x12345678, 0x7fffffff, 0x80000000, 0xdeadbeef, 0xffffffff];

describe.each([
  ['big', false, readU16be, writeU16be, readU32be, writeU32be],
  ['little', true, readU16le, writeU16le, readU32le, writeU32le],
] as const)('%s endian', (_name, little, read16, write16, read32, write32) => {
  test.each(U16)('16 bits: %i', value => {
    const bytes = new Uint8Array(5).fill(0xaa);
    write16(bytes, 1, value);
    expect(new DataView(bytes.buffer).getUint16(1, little)).toBe(value);
    expect(read16(bytes, 1)).toBe(value);
    expect([bytes[0], bytes[3], bytes[4]]).toEqual([0xaa, 0xaa, 0xaa]);
  });

  test.each(U32)('32 bits: %i', value => {
    const bytes = new Uint8Array(7).fill(0xaa);
    write32(bytes, 1, value);
    expect(new DataView(bytes.buffer).getUint32(1, little)).toBe(value);
    expect(read32(bytes, 1)).toBe(value);
    expect([bytes[0], bytes[5], bytes[6]]).toEqual([0xaa, 0xaa, 0xaa]);
  });

  test('writing a larger number keeps its low bits, as i32 and as u32', () => {
    const bytes = new Uint8Array(4);
    write16(bytes, 0, 0x1_2345);
    expect(read16(bytes, 0)).toBe(0x2345);
    write32(bytes, 0, -1);
    expect(read32(bytes, 0)).toBe(0xffffffff);
    write32(bytes, 0, 0xffffffff + 3);
    expect(read32(bytes, 0)).toBe(2);
  });
});

test.each(U32)('signed, little endian: %i', value => {
  const bytes = new Uint8Array(7).fill(0xaa);
  writeU32le(bytes, 1, value);
  expect(readI32le(bytes, 1)).toBe(value | 0);
});
