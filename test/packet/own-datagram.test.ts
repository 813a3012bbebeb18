/** What is a datagram of ours that came back, and what only looks like it (src/packet/own-datagram.ts). */
import { describe, expect, test } from 'vitest';
import { parseAddress } from '../../src/base/address.ts';
import { makeEndpoint } from '../../src/base/endpoint.ts';
import { isOwnDatagram } from '../../src/packet/own-datagram.ts';

const OURS = 51820;
const THEIRS = 4500;

interface Shape {
  readonly destination?: string;
  readonly source?: number;
  readonly port?: number;
  readonly protocol?: number;
  /** Of a fragment, in units of 8 bytes; undefined: no fragment. */
  readonly fragment?: number;
  readonly options?: number;
}

function packet4({
  destination = '192.0.2.7',
  source = OURS,
  port = THEIRS,
  protocol = 17,
  fragment,
  options = 0,
}: Shape) {
  const header = 20 + options;
  const packet = new Uint8Array(header + 8);
  packet[0] = 0x40 | (header / 4);
  if (fragment !== undefined) packet.set([0x20 | (fragment >> 8), fragment & 0xff], 6);
  packet[9] = protocol;
  packet.set(parseAddress(destination)!, 16);
  packet.set([source >> 8, source & 0xff, port >> 8, port & 0xff], header);
  return packet;
}

function packet6({ destination = '2001:db8::7', source = OURS, port = THEIRS, protocol = 17, fragment }: Shape) {
  const upper = fragment === undefined ? 40 : 48;
  const packet = new Uint8Array(upper + 8);
  packet[0] = 0x60;
  packet[6] = fragment === undefined ? protocol : 44;
  packet.set(parseAddress(destination)!, 24);
  if (fragment !== undefined) packet.set([protocol, 0, (fragment << 3) >> 8, ((fragment << 3) & 0xff) | 1], 40);
  packet.set([source >> 8, source & 0xff, port >> 8, port & 0xff], upper);
  return packet;
}

describe.each([
  ['IPv4', packet4, '192.0.2.7', '192.0.2.8'],
  ['IPv6', packet6, '2001:db8::7', '2001:db8::8'],
] as const)('%s', (_, make, address, neighbour) => {
  const endpoint = makeEndpoint(parseAddress(address)!, THEIRS);
  const is = (shape: Shape, to = endpoint, port = OURS) => {
    // somewhere in a slab
    const packet = make(shape);
    const slab = new Uint8Array(packet.length + 30).fill(0xff);
    slab.set(packet, 10);
    return isOwnDatagram(slab, 10, packet.length, to, port);
  };

  test('ours', () => expect([is({}), is({ fragment: 0 })]).toEqual([true, true]));
  test('another port of ours or theirs', () => expect([is({ source: 1 }), is({ port: 1 })]).toEqual([false, false]));
  test('another address', () => expect(is({ destination: neighbour })).toBe(false));
  test('TCP', () => expect(is({ protocol: 6 })).toBe(false));
  test('a fragment without ports', () => expect(is({ fragment: 185 })).toBe(false));
  test('while our port is not known', () => expect(is({}, endpoint, 0)).toBe(false));
  test('an endpoint of the other family, or none', () => {
    const other = makeEndpoint(parseAddress(address.includes(':') ? '192.0.2.7' : '2001:db8::7')!, THEIRS);
    expect([is({}, other), is({}, new Uint8Array(endpoint.length))]).toEqual([false, false]);
  });
  test('cut off before its ports', () => {
    const packet = make({});
    expect(isOwnDatagram(packet, 0, packet.length - 5, endpoint, OURS)).toBe(false);
  });
});

test('behind IPv4 options', () => {
  const packet = packet4({ options: 8 });
  expect(isOwnDatagram(packet, 0, packet.length, makeEndpoint(parseAddress('192.0.2.7')!, THEIRS), OURS)).toBe(true);
});
