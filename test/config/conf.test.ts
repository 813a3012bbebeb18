import { describe, expect, test } from 'vitest';
import { makeEndpoint, parseEndpoint } from '../../src/base/endpoint.ts';
import { parseKeyBase64 } from '../../src/base/key.ts';
import { parsePrefix } from '../../src/base/prefix.ts';
import { type ConfFile, formatConf, parseConf } from '../../src/config/conf.ts';
import { ConfigError } from '../../src/config/errors.ts';
import type { DeviceStatus } from '../../src/config/model.ts';
import type { Zones } from '../../src/config/zones.ts';

const SECRET = 'qqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqo=';
const A = 'EhISEhISEhISEhISEhISEhISEhISEhISEhISEhISEhI=';
const PSK = '7+/v7+/v7+/v7+/v7+/v7+/v7+/v7+/v7+/v7+/v7+8=';
const key = (text: string) => parseKeyBase64(text)!;
const prefix = (text: string) => parsePrefix(text)!;
const zones: Zones = {
  indexOf: name => (name === 'eth7' ? 7 : undefined),
  nameOf: index => (index === 7 ? 'eth7' : undefined),
};
const parse = (text: string, warn?: (message: string) => void): ConfFile => parseConf(text, 'wg0.conf', zones, warn);
const peer = (...lines: string[]) => parse(`[Peer]\nPublicKey=${A}\n${lines.join('\n')}\n`).peers[0]!;

describe('parsing', () => {
  test('every field', () => {
    expect(
      parse(
        `[Interface]\nPrivateKey = ${SECRET}\nListenPort = 51820\nFwMark = 0xff\n\n[Peer]\nPublicKey = ${A}\n` +
          `PresharedKey = ${PSK}\nAllowedIPs = 10.0.0.0/8, fd00::/8\nEndpoint = 192.0.2.1:4242\nPersistentKeepalive = 25\n`,
      ),
    ).toEqual({
      privateKey: key(SECRET),
      listenPort: 51820,
      fwmark: 255,
      peers: [
        {
          publicKey: key(A),
          presharedKey: key(PSK),
          allowedIps: [{ prefix: prefix('10.0.0.0/8') }, { prefix: prefix('fd00::/8') }],
          replaceAllowedIps: true,
          endpoint: parseEndpoint('192.0.2.1:4242'),
          endpointLine: 10,
          persistentKeepalive: 25,
        },
      ],
    });
  });

  test('case, white space within words, comments, carriage returns, and no newline at the end', () => {
    expect(
      parse(
        `  [ inter face ]# yes\n\tLISTEN port\t=\t5 1 8 20 # = 7\r\n\v\f\n#[Peer]\nfwmark=0x1F\n[PEER]\npublickey=${A}`,
      ),
    ).toEqual({
      listenPort: 51820,
      fwmark: 31,
      peers: [{ publicKey: key(A), allowedIps: [], replaceAllowedIps: true }],
    });
  });

  test('sections in any order, also repeated: the last value of a field counts, lists accumulate', () => {
    const conf = parse(
      `[Interface]\nListenPort=1\n[Peer]\nPublicKey=${PSK}\nPublicKey=${A}\nAllowedIPs=10.0.0.0/8\nAllowedIPs=::/0\n[Interface]\nListenPort=2\n`,
    );
    expect(conf.listenPort).toBe(2);
    expect(conf.peers[0]).toMatchObject({ publicKey: key(A) });
    expect(conf.peers[0]?.allowedIps).toHaveLength(2);
  });

  test.each([
    ['off', 0],
    ['OFF', 0],
    ['0', 0],
    ['010', 10],
    ['00000000000025', 25],
    ['0x0', 0],
    ['0xFFFFFFFF', 0xffffffff],
    ['4294967295', 0xffffffff],
  ])('FwMark = %s', (text, mark) => {
    expect(parse(`[Interface]\nFwMark=${text}\n`).fwmark).toBe(mark);
  });

  test.each([
    ['oFf', 0],
    ['0', 0],
    ['000025', 25],
    ['65535', 65535],
  ])('PersistentKeepalive = %s', (text, seconds) => {
    expect(peer(`PersistentKeepalive=${text}`).persistentKeepalive).toBe(seconds);
  });

  test.each([
    ['192.0.2.1:0', parseEndpoint('192.0.2.1:0')],
    ['[192.0.2.1]:1', parseEndpoint('192.0.2.1:1')],
    ['[2001:db8::1]:65535', parseEndpoint('[2001:db8::1]:65535')],
    ['::1:51820', parseEndpoint('[::1]:51820')],
    ['[fe80::1%eth7]:1', makeEndpoint(prefix('fe80::1').address, 1, 7)],
    ['[fe80::1%9]:1', makeEndpoint(prefix('fe80::1').address, 1, 9)],
    ['vpn.example.com:51820', { host: 'vpn.example.com', port: 51820 }],
    ['[vpn.example.com]:51820', { host: 'vpn.example.com', port: 51820 }],
  ])('Endpoint = %s', (text, endpoint) => {
    expect(peer(`Endpoint=${text}`).endpoint).toEqual(endpoint);
  });

  test('a bare address means /32 or /128; host bits are cleared with a warning', () => {
    const said: string[] = [];
    const conf = parse(`[Peer]\nPublicKey=${A}\nAllowedIPs=10.0.0.1,::1,10.0.0.1/24\n`, message => said.push(message));
    expect(conf.peers[0]?.allowedIps.map(entry => entry.prefix)).toEqual([
      prefix('10.0.0.1/32'),
      prefix('::1/128'),
      prefix('10.0.0.0/24'),
    ]);
    expect(said).toEqual(["wg0.conf:3: AllowedIP has nonzero host part: `10.0.0.1/24' is used as 10.0.0.0/24"]);
  });

  test('signs before allowed IPs: the last list decides between changing and replacing', () => {
    expect(peer('AllowedIPs = +10.0.0.0/8, -fd00::/8')).toMatchObject({
      replaceAllowedIps: false,
      allowedIps: [{ prefix: prefix('10.0.0.0/8') }, { prefix: prefix('fd00::/8'), remove: true }],
    });
    expect(peer('AllowedIPs = 10.0.0.0/8, +fd00::/8').replaceAllowedIps).toBe(false);
    expect(peer('AllowedIPs = +10.0.0.0/8', 'AllowedIPs = fd00::/8').replaceAllowedIps).toBe(true);
    expect(peer('AllowedIPs = 10.0.0.0/8', 'AllowedIPs = -fd00::/8').replaceAllowedIps).toBe(false);
  });
});

/** Each field with a wrong value: the text, the line number, and a pattern of the message. */
const WRONG: readonly (readonly [text: string, line: number, says: RegExp])[] = [
  ['ListenPort=1', 1, /`ListenPort' comes before any section: put it below an \[Interface\] line/],
  [`PrivateKey=${SECRET}`, 1, /`PrivateKey' comes before any section/],
  ['[Server]', 1, /`\[Server\]' is not a section/],
  ['[Interface', 1, /is not a section/],
  ['[Interface]\nListenPort', 2, /`ListenPort' is not of the form/],
  ['[Interface]\n; port', 2, /`;port' is not of the form Key = Value; a comment begins with #, not with ; or \/\//],
  ['[Interface]\nAdress=10.0.0.1/24', 2, /`Adress' is not a key of .*for `wgts up` also Address, DNS/],
  [`[Interface]\n${SECRET}`, 2, /this is a key without a name: write PrivateKey = or PublicKey =/],
  [
    `[Interface]\nPrivateKey ${SECRET.slice(0, 43)}`,
    2,
    /there is no `=' between PrivateKey and its value: write PrivateKey = KEY/,
  ],
  ['[Interface]\nListenPort=', 2, /`ListenPort' has no value/],
  ['[Interface]\nAddress=10.0.0.1/24', 2, /`Address' is not a key of \[Interface\] \(it is wg-quick's/],
  [`[Interface]\nPublicKey=${A}`, 2, /`PublicKey' is not a key of \[Interface\]/],
  ['[Interface]\nListenPort=65536', 2, /listen port `65536'.* 0 to 65535/],
  ['[Interface]\nListenPort=-1', 2, /listen port `-1'/],
  ['[Interface]\nFwMark=4294967296', 2, /fwmark `4294967296'/],
  ['[Interface]\nFwMark=0X1', 2, /fwmark `0X1'/],
  ['[Interface]\nFwMark=0x', 2, /fwmark `0x'/],
  ['[Interface]\nFwMark=red', 2, /fwmark `red'/],
  [`[Interface]\nPrivateKey=${SECRET.slice(1)}`, 2, /PrivateKey of 43 characters is not a key/],
  [`[Interface]\nPrivateKey=${SECRET.slice(0, 42)}p=`, 2, /PrivateKey of 44 characters is not a key/],
  [`[Interface]\nPrivateKey=${SECRET.slice(0, 43)}q`, 2, /PrivateKey of 44 characters/],
  ['[Peer]\nPublicKey=me', 2, /PublicKey `me' is not a key/],
  [`[Peer]\nPublicKey=${A}\nPresharedKey=${SECRET}=`, 3, /PresharedKey of 45 characters/],
  [`[Peer]\nPublicKey=${A}\nListenPort=1`, 3, /`ListenPort' is not a key of \[Peer\]/],
  [`[Peer]\nPublicKey=${A}\nAllowedIPs=`, 3, /`AllowedIPs' has no value/],
  [`[Peer]\nPublicKey=${A}\nAllowedIPs=10.0.0.0/33`, 3, /allowed IP `10.0.0.0\/33'/],
  [`[Peer]\nPublicKey=${A}\nAllowedIPs=fd00::/129`, 3, /allowed IP `fd00::\/129'/],
  [`[Peer]\nPublicKey=${A}\nAllowedIPs=10.0.0.0/`, 3, /allowed IP `10.0.0.0\/'/],
  [`[Peer]\nPublicKey=${A}\nAllowedIPs=10.0.0.0/8,`, 3, /allowed IP `'/],
  [`[Peer]\nPublicKey=${A}\nAllowedIPs=++10.0.0.0/8`, 3, /allowed IP/],
  [`[Peer]\nPublicKey=${A}\nAllowedIPs=10.0.0.01/32`, 3, /allowed IP/],
  [`[Peer]\nPublicKey=${A}\nEndpoint=192.0.2.1`, 3, /endpoint `192.0.2.1': it has no port: write address:port/],
  [`[Peer]\nPublicKey=${A}\nEndpoint=192.0.2.1:`, 3, /endpoint/],
  [`[Peer]\nPublicKey=${A}\nEndpoint=192.0.2.1:65536`, 3, /endpoint/],
  [`[Peer]\nPublicKey=${A}\nEndpoint=:51820`, 3, /endpoint/],
  [`[Peer]\nPublicKey=${A}\nEndpoint=udp://vpn.example:51820`, 3, /an endpoint is not a URL; write address:port/],
  [`[Peer]\nPublicKey=${A}\nEndpoint=[::1:51820`, 3, /endpoint/],
  [`[Peer]\nPublicKey=${A}\nEndpoint=[::1]51820`, 3, /endpoint/],
  [`[Peer]\nPublicKey=${A}\nEndpoint=[fe80::1%eth8]:1`, 3, /zone/],
  [`[Peer]\nPublicKey=${A}\nPersistentKeepalive=65536`, 3, /keepalive interval `65536'/],
  [`[Peer]\nPublicKey=${A}\nPersistentKeepalive=-1`, 3, /keepalive interval `-1'/],
  [`[Peer]\nPublicKey=${A}\nPersistentKeepalive=25s`, 3, /keepalive interval `25s'/],
  [`[Interface]\n[Peer]\nAllowedIPs=::/0\n[Peer]\nPublicKey=${A}`, 2, /\[Peer\] has no PublicKey/],
  [
    '[Interface]\nListenPort=5\0',
    2,
    /listen port `5\\x00'.* in `ListenPort' there is a NUL byte \(is the file UTF-16\?\)/,
  ],
  [
    '[Interface]\nListenPort=\u00a05',
    2,
    /listen port `\\xa05'.* in `ListenPort' there is an invisible character \(U\+00A0\)/,
  ],
  [
    '[Interface]\nListen\u200bPort=5',
    2,
    /`Listen\\x200bPort' is not a key .* invisible character \(U\+200B\): remove it/,
  ],
  [
    `[Interface]\nPrivateKey=${SECRET.slice(0, 20)}\u00a0${SECRET.slice(20)}`,
    2,
    /PrivateKey of 45 characters .*U\+00A0/,
  ],
  [`[Peer]\nPublicKey=${A}\nAllowedIPs=10.0.0.1/32 10.0.0.2/32`, 3, /allowed IP .* commas \(not only spaces\)/],
  [`[Peer]\nPublicKey=${A}\nEndpoint=`, 3, /`Endpoint' has no value/],
  [`[Peer]\nPublicKey=${A}\nPersistentKeepalive= # off`, 3, /`PersistentKeepalive' has no value/],
  [`[Interface]\n${'x'.repeat(1024 * 1024)}=1`, 2, /a line of .* is not a key/],
  [`[Interface]\nListenPort=${'1.'.repeat(512 * 1024)}`, 2, /listen port `(1\.){32}\.\.\.'/],
  [`[Interface]\nListenPort=${A}`, 2, /listen port a text of 44 characters with what looks like a key/],
];

describe('wrong values of each field', () => {
  test.each(WRONG.map(([text, line, says]) => [text.slice(-60), text, line, says] as const))(
    '%j',
    (_name, text, line, says) => {
      let error: unknown;
      try {
        parse(`${text}\n`);
      } catch (thrown) {
        error = thrown;
      }
      expect(error).toBeInstanceOf(ConfigError);
      const { message, value, file, line: number } = error as ConfigError;
      expect(message).toMatch(new RegExp(`^wg0\\.conf:${line}: `));
      expect(message).toMatch(says);
      expect({ file, number }).toEqual({ file: 'wg0.conf', number: line });
      expect(message.length).toBeLessThan(400);
      // no message contains a secret
      expect(`${message} ${value}`).not.toContain(SECRET.slice(2, 40));
    },
  );
});

describe('showconf', () => {
  const status: DeviceStatus = {
    privateKey: key(SECRET),
    listenPort: 51820,
    fwmark: 0xca6c,
    peers: [
      {
        publicKey: key(A),
        presharedKey: key(PSK),
        endpoint: makeEndpoint(prefix('fe80::1').address, 1, 7),
        lastHandshakeSeconds: 1,
        lastHandshakeNanoseconds: 1,
        rxBytes: 1,
        txBytes: 1,
        persistentKeepalive: 25,
        allowedIps: [prefix('10.0.0.0/8'), prefix('fd00::/8')],
      },
      {
        publicKey: key(PSK),
        lastHandshakeSeconds: 0,
        lastHandshakeNanoseconds: 0,
        rxBytes: 0,
        txBytes: 0,
        persistentKeepalive: 0,
        allowedIps: [],
      },
    ],
  };

  test('equals the output of wg and parses back', () => {
    const text = `[Interface]
ListenPort = 51820
FwMark = 0xca6c
PrivateKey = ${SECRET}

[Peer]
PublicKey = ${A}
PresharedKey = ${PSK}
AllowedIPs = 10.0.0.0/8, fd00::/8
Endpoint = [fe80::1%eth7]:1
PersistentKeepalive = 25

[Peer]
PublicKey = ${PSK}
`;
    expect(formatConf(status, zones)).toBe(text);
    expect(parse(text)).toMatchObject({ listenPort: 51820, fwmark: 0xca6c, peers: [{ persistentKeepalive: 25 }, {}] });
    expect(formatConf({ listenPort: 0, fwmark: 0, peers: [] })).toBe('[Interface]\n\n');
  });
});
