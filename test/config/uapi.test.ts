import { describe, expect, test } from 'vitest';
import { parseEndpoint } from '../../src/base/endpoint.ts';
import { parsePrefix } from '../../src/base/prefix.ts';
import type { DeviceConfig } from '../../src/config/model.ts';
import { type UapiRequest, UapiRequestParser } from '../../src/config/uapi.ts';
import { formatSetRequest } from '../../src/config/uapi-set.ts';
import type { Zones } from '../../src/config/zones.ts';

const KEY_A = 'a1'.repeat(32);
const KEY_B = 'b2'.repeat(32);
const bytes = (hex: string) => Uint8Array.from(hex.match(/../g)!, pair => Number.parseInt(pair, 16));
const zones: Zones = {
  indexOf: name => (name === 'eth7' ? 7 : undefined),
  nameOf: index => (index === 7 ? 'eth7' : undefined),
};

const parse = (text: string | Uint8Array) => new UapiRequestParser(zones).push(text);
const set = (...lines: string[]) => parse(['set=1', ...lines, '', ''].join('\n'));
const config = (...lines: string[]): DeviceConfig => {
  const [request, ...rest] = set(...lines);
  expect(rest).toEqual([]);
  if (request?.kind !== 'set') throw new Error(`no set: ${JSON.stringify(request)}`);
  return request.config;
};
const summary = (requests: readonly UapiRequest[]) =>
  requests.map(r =>
    r.kind === 'invalid' ? `${-r.error.errno} ${r.error.message}${r.close ? ' (close)' : ''}` : r.kind,
  );

describe('set', () => {
  test('every key of a device and a peer', () => {
    expect(
      config(
        `private_key=${KEY_A}`,
        'listen_port=51820',
        'fwmark=4294967295',
        'replace_peers=true',
        `public_key=${KEY_B}`,
        'update_only=true',
        `preshared_key=${KEY_A}`,
        'endpoint=192.0.2.1:1',
        'persistent_keepalive_interval=65535',
        'initiate_handshake=true',
        'replace_allowed_ips=true',
        'allowed_ip=10.0.0.1/24',
        'allowed_ip=-fd00::/8',
        'protocol_version=1',
      ),
    ).toEqual({
      privateKey: bytes(KEY_A),
      listenPort: 51820,
      fwmark: 0xffffffff,
      replacePeers: true,
      peers: [
        {
          publicKey: bytes(KEY_B),
          updateOnly: true,
          presharedKey: bytes(KEY_A),
          endpoint: parseEndpoint('192.0.2.1:1'),
          persistentKeepalive: 65535,
          initiate: true,
          replaceAllowedIps: true,
          allowedIps: [{ prefix: parsePrefix('10.0.0.0/24') }, { prefix: parsePrefix('fd00::/8'), remove: true }],
        },
      ],
    });
  });

  test('an empty set changes nothing', () => {
    expect(config()).toEqual({});
  });

  test('zones by name and by number', () => {
    const of = (endpoint: string) => config(`public_key=${KEY_B}`, `endpoint=${endpoint}`).peers![0]!.endpoint;
    expect(of('[fe80::1%eth7]:5')).toEqual(parseEndpoint('[fe80::1%7]:5'));
    expect(of('[fe80::1%9]:5')).toEqual(parseEndpoint('[fe80::1%9]:5'));
    expect(summary(set(`public_key=${KEY_B}`, 'endpoint=[fe80::1%nope]:5'))[0]).toMatch(/^-22 line 3: endpoint/);
  });

  test('prefixes before replace_allowed_ips are still taken from other peers', () => {
    const { peers } = config(
      `public_key=${KEY_A}`,
      'allowed_ip=1.0.0.0/8',
      'replace_allowed_ips=true',
      'allowed_ip=::/0',
    );
    expect(peers).toEqual([
      { publicKey: bytes(KEY_A), allowedIps: [{ prefix: parsePrefix('1.0.0.0/8') }] },
      { publicKey: bytes(KEY_A), replaceAllowedIps: true, allowedIps: [{ prefix: parsePrefix('::/0') }] },
    ]);
  });

  test('update_only applies to every entry of its peer and to no other', () => {
    const { peers } = config(
      `public_key=${KEY_A}`,
      'allowed_ip=1.0.0.0/8',
      'replace_allowed_ips=true',
      'update_only=true',
      `public_key=${KEY_B}`,
    );
    expect(peers!.map(p => p.updateOnly ?? false)).toEqual([true, true, false]);
  });

  test('lines after remove are checked and ignored', () => {
    expect(
      config(`public_key=${KEY_A}`, 'remove=true', 'allowed_ip=1.0.0.0/8', 'remove=true', 'endpoint=1.1.1.1:1'),
    ).toEqual({
      peers: [{ publicKey: bytes(KEY_A), remove: true }],
    });
    expect(summary(set(`public_key=${KEY_A}`, 'remove=true', 'allowed_ip=x/8'))).toEqual([
      expect.stringMatching(/^-22 line 4: allowed_ip: `x\/8'/),
    ]);
  });

  test('one peer twice stays two entries in order', () => {
    const { peers } = config(`public_key=${KEY_A}`, 'remove=true', `public_key=${KEY_A}`, 'allowed_ip=1.0.0.0/8');
    expect(peers!.map(p => p.remove ?? false)).toEqual([true, false]);
  });

  const wrong: readonly (readonly [errno: number, line: string, why: RegExp])[] = [
    [-71, 'private_key', /not of the form key=value/],
    [-22, 'private_key=', /0 characters/],
    [-22, `private_key=${KEY_A}0`, /65 characters/],
    [-22, `private_key=${KEY_A.slice(1)}g`, /not all of them hex/],
    [-22, 'listen_port=65536', /`65536' is not a number from 0 to 65535/],
    [-22, 'listen_port=-1', /`-1'/],
    [-22, 'listen_port=', /`'/],
    [-22, 'listen_port=0x10', /`0x10'/],
    [-22, 'fwmark=4294967296', /4294967295/],
    [-22, 'fwmark=99999999999999999999999999', /4294967295/],
    [-22, 'replace_peers=false', /`false'/],
    [-22, 'endpoint=1.2.3.4:5', /`endpoint' is not a key of a device/],
    [-22, 'Private_Key=00', /`Private_Key' is not a key/],
    [-22, '=', /`' is not a key/],
    [-22, 'public_key=00', /2 characters/],
  ];
  test.each(wrong)('%i for a device with %s', (errno, line, why) => {
    const [request] = set(line, `public_key=${KEY_B}`);
    expect(request).toMatchObject({ kind: 'invalid', close: false, error: { errno: -errno, line: 2 } });
    expect(summary([request!])[0]).toMatch(why);
  });

  const wrongInPeer: readonly (readonly [line: string, why: RegExp])[] = [
    ['update_only=1', /`1'/],
    ['remove=false', /`false'/],
    ['preshared_key=zz', /2 characters/],
    ['endpoint=', /IPV4:PORT/],
    ['endpoint=host.example:5', /host\.example/],
    ['endpoint=1.2.3.4', /1\.2\.3\.4/],
    ['endpoint=1.2.3.4:65536', /65536/],
    ['endpoint=::1:5', /::1/],
    ['endpoint=[1.2.3.4]:5', /1\.2\.3\.4/],
    ['endpoint=[::1]', /::1/],
    ['endpoint=1.2.3.4%eth7:5', /eth7/],
    ['persistent_keepalive_interval=65536', /65536/],
    ['persistent_keepalive_interval=off', /off/],
    ['initiate_handshake=1', /`1'/],
    ['replace_allowed_ips=', /`'/],
    ['allowed_ip=10.0.0.0', /10\.0\.0\.0/],
    ['allowed_ip=10.0.0.0/33', /33/],
    ['allowed_ip=::/129', /129/],
    ['allowed_ip=+10.0.0.0/8', /\+10/],
    ['allowed_ip=10.0.0.0/', /10/],
    ['protocol_version=2', /`2'/],
    ['listen_port=1', /not a key of a peer/],
    ['private_key=00', /not a key of a peer/],
  ];
  test.each(wrongInPeer)('-22 for a peer with %s', (line, why) => {
    const [request] = set(`public_key=${KEY_B}`, line);
    expect(request).toMatchObject({ kind: 'invalid', close: false, error: { errno: 22, line: 3 } });
    expect(summary([request!])[0]).toMatch(why);
  });

  test('the message does not repeat an invalid key, which may be secret', () => {
    expect(summary(set(`private_key=${KEY_A}f`))[0]).not.toContain('a1a1');
    expect(summary(set(`public_key=${KEY_B}`, `preshared_key=${KEY_A}f`))[0]).not.toContain('a1a1');
  });

  test('a config is the same after formatting and parsing', () => {
    const given: DeviceConfig = {
      privateKey: bytes(KEY_A),
      listenPort: 0,
      fwmark: 0,
      replacePeers: true,
      peers: [
        { publicKey: bytes(KEY_B), remove: true },
        {
          publicKey: bytes(KEY_A),
          updateOnly: true,
          presharedKey: new Uint8Array(32),
          endpoint: parseEndpoint('[fe80::1%7]:51820')!,
          persistentKeepalive: 0,
          replaceAllowedIps: true,
          allowedIps: [{ prefix: parsePrefix('0.0.0.0/0')!, remove: true }, { prefix: parsePrefix('::/0')! }],
        },
      ],
    };
    const text = formatSetRequest(given, zones);
    expect(text).toContain('endpoint=[fe80::1%eth7]:51820\n');
    expect(parse(text)).toEqual([{ kind: 'set', config: given }]);
  });
});

describe('a connection', () => {
  test('several operations, in one piece or byte by byte', () => {
    const text = `get=1\n\nset=1\nlisten_port=1\n\ncounters=1\n\nset=1\n\nget=1\n\n`;
    const expected = ['get', 'set', 'counters', 'set', 'get'];
    expect(summary(parse(text))).toEqual(expected);
    const parser = new UapiRequestParser();
    expect(summary([...text].flatMap(c => parser.push(Uint8Array.of(c.charCodeAt(0)))))).toEqual(expected);
    expect(parser.end()).toBeUndefined();
  });

  test('CR before LF is not part of a line', () => {
    expect(summary(parse('set=1\r\nlisten_port=1\r\n\r\nget=1\r\n\r\n'))).toEqual(['set', 'get']);
  });

  test('an invalid line discards the rest of its request; the next request is processed', () => {
    expect(summary(parse(`set=1\nbad=1\nworse\npublic_key=${KEY_A}\n\nget=1\n\n`))).toEqual([
      expect.stringMatching(/^-22 line 2: `bad'/),
      'get',
    ]);
  });

  test('a get with further lines', () => {
    expect(summary(parse('get=1\nlisten_port=1\n\nget=1\n\n'))).toEqual([
      expect.stringMatching(/^-22 line 2: .*after get=1/),
      'get',
    ]);
  });

  test.each(['put=1\n', 'get=2\n', '\n', 'GET / HTTP/1.1\n'])(
    '%j is not an operation: an error, then the connection closes',
    text => {
      const parser = new UapiRequestParser();
      expect(summary(parser.push(`${text}get=1\n\n`))).toEqual([expect.stringMatching(/^-71 line 1: .* \(close\)$/)]);
      expect(parser.push('get=1\n\n')).toEqual([]);
      expect(parser.end()).toBeUndefined();
    },
  );

  test('half a request is reported and not applied', () => {
    for (const text of ['set=1\nlisten_port=1\n', 'set=1\nlisten_port=1', 'set=1\n', 'set', 'get=1\n']) {
      const parser = new UapiRequestParser();
      expect(parser.push(text)).toEqual([]);
      expect(summary([parser.end()!])).toEqual([expect.stringMatching(/^-71 .*without its blank line \(close\)$/)]);
    }
  });

  test('a line of 1 MB is an error, is not stored, and leaves the connection usable', () => {
    const parser = new UapiRequestParser();
    parser.push('set=1\n');
    const block = new Uint8Array(64 * 1024).fill(0x41);
    for (let i = 0; i < 16; i++) expect(parser.push(block)).toEqual([]);
    expect(summary(parser.push('\n\nget=1\n\n'))).toEqual([expect.stringMatching(/^-90 line 2: .*1024/), 'get']);
  });

  test('a first line of 1 MB is not an operation', () => {
    const parser = new UapiRequestParser();
    expect(parser.push('A'.repeat(1 << 20))).toEqual([]);
    expect(summary(parser.push('\n'))).toEqual([expect.stringMatching(/^-90 line 1: .*\(close\)$/)]);
  });

  test.each(['x=y\n', `public_key=${KEY_A}\n`, 'A'])('an endless request of %j is cut off', piece => {
    const parser = new UapiRequestParser();
    parser.push('set=1\n');
    const block = piece.repeat(64 * 1024);
    let sent = 0;
    let answer: UapiRequest[] = [];
    while (answer.length === 0 && sent < 64 << 20) {
      answer = parser.push(block);
      sent += block.length;
    }
    expect(sent).toBeLessThan(24 << 20);
    expect(answer).toMatchObject([{ kind: 'invalid', close: true }]);
    expect(parser.push(block)).toEqual([]);
  });

  test('130,560 allowed IPs of one peer (netns.sh)', () => {
    let text = `set=1\npublic_key=${KEY_A}\n`;
    for (let a = 1; a <= 255; a++)
      for (let b = 0; b <= 255; b++)
        text += `allowed_ip=${a}.${b}.0.0/16\nallowed_ip=${a.toString(16)}:${b.toString(16)}::/32\n`;
    const [request] = parse(`${text}\n`);
    if (request?.kind !== 'set') throw new Error(`no set: ${JSON.stringify(request)}`);
    expect(request.config.peers![0]!.allowedIps).toHaveLength(130_560);
  });
});
