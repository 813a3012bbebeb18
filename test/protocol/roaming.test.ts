/** What becomes a peer's endpoint, and which changes are reported. */
import { expect, test } from 'vitest';
import { parseAddress } from '../../src/base/address.ts';
import {
  ENDPOINT_ADDRESS,
  ENDPOINT_FAMILY,
  ENDPOINT_HAS_LOCAL,
  ENDPOINT_LOCAL,
  ENDPOINT_SIZE,
  formatEndpoint,
  makeEndpoint,
} from '../../src/base/endpoint.ts';
import type { Device } from '../../src/protocol/device.ts';
import type { Peer } from '../../src/protocol/peer.ts';
import { setEndpoint } from '../../src/protocol/roaming.ts';

const OLD = '192.0.2.1:51820';
/** The record that is read, of several. */
const INDEX = 2;

const record = (address: string, port: number): Uint8Array => makeEndpoint(parseAddress(address)!, port);

/** Lets a peer hear from a source. Returns its endpoint then, and how many events there were. */
function after(source: Uint8Array, before: Uint8Array = record('192.0.2.1', 51_820)): [Uint8Array, number] {
  const endpoint = before.slice();
  let events = 0;
  const device = { output: { event: () => events++ } } as unknown as Device;
  const batch = new Uint8Array((INDEX + 2) * ENDPOINT_SIZE).fill(0xee);
  batch.set(source, INDEX * ENDPOINT_SIZE);
  setEndpoint(device, { endpoint } as Peer, batch, INDEX * ENDPOINT_SIZE);
  return [endpoint, events];
}

test.each([
  ['198.51.100.7', 51_820, '198.51.100.7:51820'],
  ['192.0.2.1', 51_821, '192.0.2.1:51821'],
  ['192.0.2.1', 256, '192.0.2.1:256'],
  ['192.0.2.1', 1, '192.0.2.1:1'],
  ['2001:db8::1', 51_820, '[2001:db8::1]:51820'],
  ['192.0.2.1', 0, OLD],
  ['2001:db8::1', 0, OLD],
])('%s with port %i: %s', (address, port, expected) => {
  const [endpoint, events] = after(record(address, port));
  expect(formatEndpoint(endpoint)).toBe(expected);
  expect(events).toBe(expected === OLD ? 0 : 1);
});

test('a source without a family changes nothing', () => {
  const source = record('198.51.100.7', 1);
  source[ENDPOINT_FAMILY] = 0;
  const [endpoint, events] = after(source);
  expect([formatEndpoint(endpoint), events]).toEqual([OLD, 0]);
});

test('the same source changes nothing', () => {
  expect(after(record('192.0.2.1', 51_820))[1]).toBe(0);
});

test('the first source of a peer without an endpoint is reported', () => {
  const [endpoint, events] = after(record('192.0.2.1', 51_820), new Uint8Array(ENDPOINT_SIZE));
  expect([formatEndpoint(endpoint), events]).toEqual([OLD, 1]);
});

test('another address of this host is used from now on, but is no change of the peer', () => {
  const source = record('192.0.2.1', 51_820);
  source[ENDPOINT_HAS_LOCAL] = 1;
  source.set([203, 0, 113, 5], ENDPOINT_LOCAL);
  const [endpoint, events] = after(source);
  expect(endpoint).toEqual(source);
  expect(events).toBe(0);
});

test('another family with the same bytes of an address is another endpoint', () => {
  const six = record('2001:db8::1', 51_820);
  const four = record('192.0.2.1', 51_820);
  four.set(six.subarray(ENDPOINT_ADDRESS, ENDPOINT_ADDRESS + 16), ENDPOINT_ADDRESS);
  expect(after(six, four)[1]).toBe(1);
});
