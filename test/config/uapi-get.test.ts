import { describe, expect, test } from 'vitest';
import { parseEndpoint } from '../../src/base/endpoint.ts';
import { makePrefix, parsePrefix } from '../../src/base/prefix.ts';
import type { DeviceStatus } from '../../src/config/model.ts';
import {
  formatCountersResponse,
  formatErrno,
  formatGetResponse,
  getResponseChunks,
  parseCountersResponse,
  parseGetResponse,
  parseSetResponse,
} from '../../src/config/uapi-get.ts';

const key = (byte: number) => new Uint8Array(32).fill(byte);

const status: DeviceStatus = {
  privateKey: key(0xa1),
  listenPort: 12912,
  fwmark: 51820,
  peers: [
    {
      publicKey: key(0xb2),
      presharedKey: key(0xc3),
      endpoint: parseEndpoint('[2001:db8::1]:51820')!,
      lastHandshakeSeconds: 1700000000,
      lastHandshakeNanoseconds: 7,
      rxBytes: 2224,
      txBytes: 38333,
      persistentKeepalive: 111,
      allowedIps: [parsePrefix('192.168.4.6/32')!, parsePrefix('fd00::/8')!],
    },
    {
      publicKey: key(0xd4),
      lastHandshakeSeconds: 0,
      lastHandshakeNanoseconds: 0,
      rxBytes: 0,
      txBytes: 0,
      persistentKeepalive: 0,
      allowedIps: [],
    },
  ],
};

/** The exact output of wireguard-go for the same device. */
const TEXT = `private_key=${'a1'.repeat(32)}
listen_port=12912
fwmark=51820
public_key=${'b2'.repeat(32)}
preshared_key=${'c3'.repeat(32)}
protocol_version=1
endpoint=[2001:db8::1]:51820
last_handshake_time_sec=1700000000
last_handshake_time_nsec=7
tx_bytes=38333
rx_bytes=2224
persistent_keepalive_interval=111
allowed_ip=192.168.4.6/32
allowed_ip=fd00::/8
public_key=${'d4'.repeat(32)}
preshared_key=${'00'.repeat(32)}
protocol_version=1
last_handshake_time_sec=0
last_handshake_time_nsec=0
tx_bytes=0
rx_bytes=0
persistent_keepalive_interval=0
errno=0

`;

describe('get', () => {
  test('is written in the order of wireguard-go', () => {
    expect(formatGetResponse(status)).toBe(TEXT);
  });

  test('omits settings that a new device lacks', () => {
    expect(formatGetResponse({ listenPort: 0, fwmark: 0, peers: [] })).toBe('errno=0\n\n');
  });

  test('parses back', () => {
    expect(parseGetResponse(TEXT)).toEqual(status);
  });

  test('is split into pieces if it is large', () => {
    const allowedIps = Array.from({ length: 5000 }, (_, i) => makePrefix(Uint8Array.of(10, 0, i >> 8, i & 255), 32));
    const one = { ...status, peers: [{ ...status.peers[0]!, allowedIps }] };
    const many = { ...status, peers: Array.from({ length: 500 }, () => ({ ...status.peers[0]!, allowedIps: [] })) };
    for (const large of [one, many]) {
      const chunks = [...getResponseChunks(large)];
      expect(chunks.length).toBeGreaterThan(4);
      expect(Math.max(...chunks.map(c => c.length))).toBeLessThan(20_000);
      expect(chunks.join('')).toBe(formatGetResponse(large));
      expect(parseGetResponse(chunks.join(''))).toEqual(large);
    }
  });

  test('unknown keys are ignored, as in wg', () => {
    expect(parseGetResponse(`own_public_key=00\n${TEXT.replace('tx_bytes', 'h1=5\ntx_bytes')}`)).toEqual(status);
  });

  const broken: readonly (readonly [text: string, code: string])[] = [
    ['', 'incomplete'],
    ['\n', 'incomplete'],
    ['errno=0\n', 'incomplete'],
    ['listen_port=1\n\n', 'incomplete'],
    ['errno=-22\n\n', 'refused'],
    ['errno=71\n\n', 'refused'],
    ['errno=x\n\n', 'syntax'],
    ['listen_port\nerrno=0\n\n', 'syntax'],
    ['listen_port=65536\nerrno=0\n\n', 'bad-value'],
    ['fwmark=-1\nerrno=0\n\n', 'bad-value'],
    ['private_key=00\nerrno=0\n\n', 'bad-value'],
    ['public_key=00\nerrno=0\n\n', 'bad-value'],
    [`public_key=${'b2'.repeat(32)}\nendpoint=x:1\nerrno=0\n\n`, 'bad-value'],
    [`public_key=${'b2'.repeat(32)}\nallowed_ip=1.2.3.4\nerrno=0\n\n`, 'bad-value'],
    [`public_key=${'b2'.repeat(32)}\nrx_bytes=1e3\nerrno=0\n\n`, 'bad-value'],
  ];
  test.each(broken)('%j is an error of code %s', (text, code) => {
    expect(() => parseGetResponse(text)).toThrow(expect.objectContaining({ name: 'ConfigError', code }));
  });
});

test('errno is negative on the wire', () => {
  expect([formatErrno(0), formatErrno(22), formatErrno(-98)]).toEqual([
    'errno=0\n\n',
    'errno=-22\n\n',
    'errno=-98\n\n',
  ]);
});

test('the answer to set', () => {
  expect(() => parseSetResponse('errno=0\n\n')).not.toThrow();
  expect(() => parseSetResponse('errno=-98\n\n')).toThrow(expect.objectContaining({ code: 'refused', errno: 98 }));
  expect(() => parseSetResponse('')).toThrow(expect.objectContaining({ code: 'incomplete' }));
});

test('counters, formatted and parsed', () => {
  const counters = { 'in.replayed': 3, 'tun.written': 2 ** 52 };
  expect(formatCountersResponse(counters)).toBe(`in.replayed=3\ntun.written=${2 ** 52}\nerrno=0\n\n`);
  expect(parseCountersResponse(formatCountersResponse(counters))).toEqual(counters);
  expect(() => parseCountersResponse('errno=-71\n\n')).toThrow(expect.objectContaining({ code: 'refused' }));
});
