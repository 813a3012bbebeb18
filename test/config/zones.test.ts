/** Endpoints with zones: which forms are read, and which zones are written as names. */
import { expect, test } from 'vitest';
import { formatEndpoint } from '../../src/base/endpoint.ts';
import { formatZonedEndpoint, parseZonedEndpoint, type Zones } from '../../src/config/zones.ts';

const ETH0: Zones = {
  indexOf: name => (name === 'eth0' ? 3 : undefined),
  nameOf: index => (index === 3 ? 'eth0' : undefined),
};
const read = (text: string): string | undefined => {
  const record = parseZonedEndpoint(text, ETH0);
  return record && formatEndpoint(record);
};
/** Reads an endpoint with a number as its zone, and writes it with names. */
const written = (text: string): string => formatZonedEndpoint(parseZonedEndpoint(text)!, ETH0);

test.each([
  ['192.0.2.1:51820', '192.0.2.1:51820'],
  ['[2001:db8::1]:51820', '[2001:db8::1]:51820'],
  ['[fe80::1%eth0]:1', '[fe80::1%3]:1'],
  ['[fe80::1%4294967295]:1', '[fe80::1%4294967295]:1'],
])('%s is read', (text, wanted) => expect(read(text)).toBe(wanted));

test.each([
  '192.0.2.1',
  '51820',
  '2001:db8::1:51820',
  '[192.0.2.1]:51820',
  '[2001:db8::1:51820',
  '2001:db8::1]:51820',
  '[fe80::1%eth9]:1',
  '[fe80::1%4294967296]:1',
  '[fe80::1%-1]:1',
  '[fe80::1%0x3]:1',
  '192.0.2.1%eth0:1',
  '192.0.2.1:65536',
])('%s is no endpoint', text => expect(read(text)).toBeUndefined());

test('the zone of a link-local address is a name if its interface has one', () => {
  for (const host of ['fe80::1', 'febf::1', 'ff02::1', 'fff2::1']) {
    expect(written(`[${host}%3]:9`)).toBe(`[${host}%eth0]:9`);
    expect(written(`[${host}%4]:9`)).toBe(`[${host}%4]:9`);
    expect(written(`[${host}]:9`)).toBe(`[${host}]:9`);
  }
});

test('the zone of any other address stays a number', () => {
  for (const host of ['2001:db8::1', 'fec0::1', 'fd80::1', 'ff05::1', '::2'])
    expect(written(`[${host}%3]:9`)).toBe(`[${host}%3]:9`);
  expect(written('192.0.2.1:9')).toBe('192.0.2.1:9');
});

test('no zone is asked for its name', () => {
  const nameOf = (index: number): string => `if${index}`;
  expect(formatZonedEndpoint(parseZonedEndpoint('[fe80::1]:9')!, { ...ETH0, nameOf })).toBe('[fe80::1]:9');
});
