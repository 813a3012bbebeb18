/**
 * Addresses, prefixes, endpoints and keys as text: what parses, what is refused, and the formatted
 * form.
 */
import { describe, expect, test } from 'vitest';
import { formatAddress, parseAddress } from '../../src/base/address.ts';
import {
  ENDPOINT_FAMILY,
  ENDPOINT_SIZE,
  formatEndpoint,
  makeEndpoint,
  parseEndpoint,
  sameEndpoint,
} from '../../src/base/endpoint.ts';
import { clampPrivateKey, formatKeyBase64, isZeroKey, parseKeyBase64, parseKeyHex } from '../../src/base/key.ts';
import { formatPrefix, makePrefix, parsePrefix } from '../../src/base/prefix.ts';

describe('addresses', () => {
  test.each([
    ['0.0.0.0', '0.0.0.0'],
    ['255.255.255.255', '255.255.255.255'],
    ['::', '::'],
    ['::1', '::1'],
    ['1::', '1::'],
    ['2001:DB8::0001', '2001:db8::1'],
    ['2001:db8:0:0:1:0:0:1', '2001:db8::1:0:0:1'],
    ['2001:0:0:1:0:0:0:1', '2001:0:0:1::1'],
    ['1:2:3:4:5:6:7:0', '1:2:3:4:5:6:7:0'],
    ['::ffff:192.0.2.1', '::ffff:192.0.2.1'],
    ['64:ff9b::192.0.2.33', '64:ff9b::c000:221'],
    ['1:2:3:4:5:6:7::', '1:2:3:4:5:6:7:0'],
  ])('%s is written %s', (text, canonical) => {
    expect(formatAddress(parseAddress(text)!)).toBe(canonical);
  });

  test.each([
    '',
    ' 1.2.3.4',
    '1.2.3',
    '1.2.3.4.5',
    '256.0.0.1',
    '01.2.3.4',
    '1.2.3.a',
    '0x1.2.3.4',
    ':',
    ':::',
    '1::2::3',
    '1:2:3:4:5:6:7',
    '1:2:3:4:5:6:7:8:9',
    '1:2:3:4:5:6:7:8::',
    '::12345',
    '::g',
    '::1.2.3',
    '1.2.3.4::',
    'fe80::1%eth0',
    'localhost',
  ])('%j is refused', text => {
    expect(parseAddress(text)).toBeUndefined();
  });

  test('of another size throw a RangeError', () => {
    expect(() => formatAddress(new Uint8Array(5))).toThrow(RangeError);
    expect(() => makeEndpoint(new Uint8Array(5), 1)).toThrow(RangeError);
  });
});

describe('prefixes', () => {
  test.each([
    ['10.1.2.3/8', '10.0.0.0/8'],
    ['10.1.2.3', '10.1.2.3/32'],
    ['255.255.255.255/31', '255.255.255.254/31'],
    ['1.2.3.4/0', '0.0.0.0/0'],
    ['fd00::1', 'fd00::1/128'],
    ['ffff:ffff::/17', 'ffff:8000::/17'],
    ['::1/0', '::/0'],
  ])('%s is %s, without bits past its length', (text, canonical) => {
    expect(formatPrefix(parsePrefix(text)!)).toBe(canonical);
  });

  test.each([
    '10.0.0.0/33',
    '::/129',
    '10.0.0.0/',
    '/8',
    '10.0.0.0/-1',
    '10.0.0.0/8/8',
    '10.0.0.0/ 8',
    '10.0.0.0/1e1',
    'x/8',
  ])('%j is refused', text => {
    expect(parsePrefix(text)).toBeUndefined();
  });

  test('of impossible length throw a RangeError', () => {
    for (const length of [-1, 33, 1.5, Number.NaN])
      expect(() => makePrefix(new Uint8Array(4), length)).toThrow(RangeError);
  });
});

describe('endpoints', () => {
  test.each(['192.0.2.1:0', '192.0.2.1:65535', '[2001:db8::1]:51820', '[fe80::1%7]:51820'])('%s round-trips', text => {
    const record = parseEndpoint(text)!;
    expect(record).toHaveLength(ENDPOINT_SIZE);
    expect(formatEndpoint(record)).toBe(text);
  });

  test.each([
    '192.0.2.1',
    '192.0.2.1:65536',
    '192.0.2.1:',
    '[192.0.2.1]:1',
    '2001:db8::1:51820',
    '[::1%eth0]:1',
    'a.b:1',
    ':1',
  ])('%j is refused', text => {
    expect(parseEndpoint(text)).toBeUndefined();
  });

  test('are equal if every byte of the far side is, at any offset of a slab', () => {
    const slab = new Uint8Array(3 * ENDPOINT_SIZE);
    slab.set(parseEndpoint('192.0.2.1:5')!, ENDPOINT_SIZE);
    const record = parseEndpoint('192.0.2.1:5')!;
    expect(record[ENDPOINT_FAMILY]).toBe(4);
    expect(sameEndpoint(record, 0, slab, ENDPOINT_SIZE)).toBe(true);
    slab[ENDPOINT_SIZE + 3]! ^= 1;
    expect(sameEndpoint(record, 0, slab, ENDPOINT_SIZE)).toBe(false);
  });
});

describe('keys', () => {
  const text = 'AQIDBAUGBwgJCgsMDQ4PEBESExQVFhcYGRobHB0eHyA=';

  test('are 44 characters of base64, or 64 of hex', () => {
    const key = parseKeyBase64(text)!;
    expect([...key]).toEqual(Array.from({ length: 32 }, (_, i) => i + 1));
    expect(formatKeyBase64(key)).toBe(text);
    expect(parseKeyHex(Buffer.from(key).toString('hex').toUpperCase())).toEqual(key);
  });

  test.each(['', text.slice(1), `${text}=`, text.replace('=', 'A'), text.replace('A', '-'), `${text.slice(0, 42)}B=`])(
    '%j is refused',
    wrong => {
      expect(parseKeyBase64(wrong)).toBeUndefined();
    },
  );

  test('are clamped as in RFC 7748', () => {
    expect([...clampPrivateKey(new Uint8Array(32).fill(0xff))].filter(byte => byte !== 0xff)).toEqual([0xf8, 0x7f]);
    expect([...clampPrivateKey(new Uint8Array(32))].filter(byte => byte !== 0)).toEqual([0x40]);
  });

  test('of all zeros mean "no key"', () => {
    const key = new Uint8Array(32);
    expect(isZeroKey(key)).toBe(true);
    for (const at of [0, 15, 31]) {
      key.fill(0)[at] = 1;
      expect(isZeroKey(key)).toBe(false);
    }
  });
});
