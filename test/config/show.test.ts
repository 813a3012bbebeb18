import { describe, expect, test } from 'vitest';
import { parseEndpoint } from '../../src/base/endpoint.ts';
import { parsePrefix } from '../../src/base/prefix.ts';
import type { DeviceStatus, PeerStatus } from '../../src/config/model.ts';
import { formatDevice, formatField, SHOW_FIELDS } from '../../src/config/show.ts';
import { toJson } from '../../src/config/show-json.ts';

const NOW = 1_700_000_000;
const key = (byte: number) => new Uint8Array(32).fill(byte);
const text = (byte: number) => Buffer.alloc(32, byte).toString('base64');
const plain = { now: NOW, color: false, secrets: false };
const device = (...peers: PeerStatus[]): DeviceStatus => ({ listenPort: 0, fwmark: 0, peers });

function peer(byte: number, more: Partial<PeerStatus> = {}): PeerStatus {
  return {
    publicKey: key(byte),
    lastHandshakeSeconds: 0,
    lastHandshakeNanoseconds: 0,
    rxBytes: 0,
    txBytes: 0,
    persistentKeepalive: 0,
    allowedIps: [],
    ...more,
  };
}

const full: DeviceStatus = {
  privateKey: key(1),
  publicKey: key(2),
  listenPort: 51820,
  fwmark: 0xca6c,
  peers: [
    peer(3),
    peer(4, {
      presharedKey: key(5),
      endpoint: parseEndpoint('[2001:db8::1]:4242')!,
      lastHandshakeSeconds: NOW - 61,
      rxBytes: 1536,
      txBytes: 10,
      persistentKeepalive: 25,
      allowedIps: [parsePrefix('10.0.0.0/8')!, parsePrefix('fd00::/8')!],
    }),
  ],
};

describe('text for people', () => {
  test('an empty device', () => {
    expect(formatDevice('wg0', device(), plain)).toBe('interface: wg0\n');
  });

  test('a device with all settings, the latest handshake first, secrets hidden', () => {
    expect(formatDevice('wg0', full, plain)).toBe(`interface: wg0
  public key: ${text(2)}
  private key: (hidden)
  listening port: 51820
  fwmark: 0xca6c

peer: ${text(4)}
  preshared key: (hidden)
  endpoint: [2001:db8::1]:4242
  allowed ips: 10.0.0.0/8, fd00::/8
  latest handshake: 1 minute, 1 second ago
  transfer: 1.50 KiB received, 10 B sent
  persistent keepalive: every 25 seconds

peer: ${text(3)}
  allowed ips: (none)
`);
    const shown = formatDevice('wg0', full, { ...plain, secrets: true });
    expect(shown).toContain(`private key: ${text(1)}\n`);
    expect(shown).toContain(`preshared key: ${text(5)}\n`);
  });

  test('colours match wg, and the text without them is the same', () => {
    const colored = formatDevice('wg0', full, { ...plain, color: true });
    const readable = colored.replaceAll('\x1b[', '<').replace(/<([0-9]+)m/g, '<$1>');
    expect(readable.replace(/<[0-9]+>/g, '')).toBe(formatDevice('wg0', full, plain));
    expect(readable).toMatch(/^<0><32><1>interface<0>: <32>wg0<0>\n {2}<1>public key<0>: /);
    expect(readable).toContain('10.0.0.0<36>/<0>8, fd00::<36>/<0>8\n');
    expect(readable).toContain('1 <36>minute<0>, 1 <36>second<0> ago\n');
  });

  test.each([
    [NOW, 'Now'],
    [NOW + 1, '(System clock wound backward; connection problems may ensue.)'],
    [NOW - 1, '1 second ago'],
    [NOW - 59, '59 seconds ago'],
    [NOW - 60, '1 minute ago'],
    [NOW - 3600, '1 hour ago'],
    [NOW - 86_400 - 7202, '1 day, 2 hours, 2 seconds ago'],
    [NOW - 2 * 365 * 86_400 - 86_400, '2 years, 1 day ago'],
    [1, '53 years, 330 days, 22 hours, 13 minutes, 19 seconds ago'],
  ])('a handshake at %d', (lastHandshakeSeconds, ago) => {
    expect(formatDevice('wg0', device(peer(1, { lastHandshakeSeconds })), plain)).toContain(
      `  latest handshake: ${ago}\n`,
    );
  });

  test.each([
    [1, '1 B'],
    [1023, '1023 B'],
    [1024, '1.00 KiB'],
    // ties, rounded as printf does
    [1152, '1.12 KiB'],
    [1408, '1.38 KiB'],
    [1_179_648, '1.12 MiB'],
    [1_048_575, '1024.00 KiB'],
    [1_048_576, '1.00 MiB'],
    [1024 ** 3 - 1, '1024.00 MiB'],
    [1024 ** 3, '1.00 GiB'],
    [1024 ** 4, '1.00 TiB'],
    [2 ** 53, '8192.00 TiB'],
  ])('%d bytes', (rxBytes, shown) => {
    expect(formatDevice('wg0', device(peer(1, { rxBytes })), plain)).toContain(
      `  transfer: ${shown} received, 0 B sent\n`,
    );
  });

  test('peers sorted by handshake to the nanosecond; those without one last, in the device’s order', () => {
    const order = (...peers: PeerStatus[]) =>
      [...formatDevice('wg0', device(...peers), plain).matchAll(/peer: (.*)/g)].map(
        match => Buffer.from(match[1]!, 'base64')[0],
      );
    const at = (lastHandshakeSeconds: number, lastHandshakeNanoseconds = 0) => ({
      lastHandshakeSeconds,
      lastHandshakeNanoseconds,
    });
    expect(order(peer(1), peer(2, at(5)), peer(3), peer(4, at(5, 1)), peer(5, at(9)))).toEqual([5, 4, 2, 1, 3]);
  });
});

describe('output for programs', () => {
  const rows: Readonly<Record<string, string>> = {
    'public-key': `${text(2)}\n`,
    'private-key': `${text(1)}\n`,
    'listen-port': '51820\n',
    fwmark: '0xca6c\n',
    peers: `${text(3)}\n${text(4)}\n`,
    'preshared-keys': `${text(3)}\t(none)\n${text(4)}\t${text(5)}\n`,
    endpoints: `${text(3)}\t(none)\n${text(4)}\t[2001:db8::1]:4242\n`,
    'allowed-ips': `${text(3)}\t(none)\n${text(4)}\t10.0.0.0/8 fd00::/8\n`,
    'latest-handshakes': `${text(3)}\t0\n${text(4)}\t${NOW - 61}\n`,
    transfer: `${text(3)}\t0\t0\n${text(4)}\t1536\t10\n`,
    'persistent-keepalive': `${text(3)}\toff\n${text(4)}\t25\n`,
    dump:
      `${text(1)}\t${text(2)}\t51820\t0xca6c\n${text(3)}\t(none)\t(none)\t(none)\t0\t0\t0\toff\n` +
      `${text(4)}\t${text(5)}\t[2001:db8::1]:4242\t10.0.0.0/8,fd00::/8\t${NOW - 61}\t1536\t10\t25\n`,
  };

  test.each(SHOW_FIELDS)('show wg0 %s, and of all', field => {
    expect(formatField(full, field)).toBe(rows[field]);
    const prefixed = rows[field]!.replace(/^(?=.)/gm, 'wg0\t');
    expect(formatField(full, field, 'wg0\t')).toBe(prefixed);
  });

  test('an empty device; unknown fields', () => {
    expect(formatField(device(), 'dump')).toBe('(none)\t(none)\t0\toff\n');
    expect(formatField(device(), 'peers')).toBe('');
    for (const field of ['port', '', 'toString', 'constructor', '__proto__'])
      expect(formatField(full, field)).toBeUndefined();
  });

  test('JSON: stable names, secrets only on request, counters unchanged', () => {
    expect(toJson('wg0', 'userspace', full, { 'rx.dropped': 3 }, false)).toEqual({
      name: 'wg0',
      kind: 'userspace',
      publicKey: text(2),
      listenPort: 51820,
      fwmark: 0xca6c,
      peers: [
        {
          publicKey: text(3),
          hasPresharedKey: false,
          endpoint: null,
          allowedIps: [],
          latestHandshake: null,
          rxBytes: 0,
          txBytes: 0,
          persistentKeepalive: null,
        },
        {
          publicKey: text(4),
          hasPresharedKey: true,
          endpoint: '[2001:db8::1]:4242',
          allowedIps: ['10.0.0.0/8', 'fd00::/8'],
          latestHandshake: NOW - 61,
          rxBytes: 1536,
          txBytes: 10,
          persistentKeepalive: 25,
        },
      ],
      counters: { 'rx.dropped': 3 },
    });
    const open = toJson('wg0', 'userspace', full, undefined, true);
    expect(open).toMatchObject({ privateKey: text(1), counters: null, peers: [{}, { presharedKey: text(5) }] });
  });
});
