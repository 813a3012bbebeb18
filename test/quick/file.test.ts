/**
 * wg-quick's file format: what is parsed, rejected with its line, passed on to `wg setconf`, and
 * saved.
 */
import { describe, expect, test } from 'vitest';
import { formatAddress, parseAddress } from '../../src/base/address.ts';
import { parsePrefix } from '../../src/base/prefix.ts';
import type { DeviceStatus } from '../../src/config/model.ts';
import { numericZones } from '../../src/config/zones.ts';
import { SCOPE } from '../../src/netlink/addresses.ts';
import { parseQuickFile } from '../../src/quick/file.ts';
import { formatQuickFile } from '../../src/quick/save.ts';

const KEY = 'oK56DE9Ue9zK76rAc8pBl6opph+1v36lm7cXXsQKrQM=';
const PEER = 'GtL7fZc/bLnqZldpVofMCD6hDjrK28SsdLxevJ+qtKU=';
const TEXT = `# a comment
[Interface]
Address = 10.9.0.2/24, fd00:9::2/64 # of ours
address=10.9.5.5
DNS = 10.9.0.1, example.org
DNS = fd00:9::1,corp.example
MTU = 1380
Table = custom
PrivateKey = ${KEY}
PostUp = iptables -A FORWARD -i %i -j ACCEPT; echo 'a  b = c'
PostUp = second
PreUp = before
PostDown = after
PreDown = ahead
SaveConfig = true
ListenPort = 51820

[Peer]
PublicKey = ${PEER}
AllowedIPs = 0.0.0.0/0
`;
const TABLES = new Map([['custom', 777]]);
const parse = (text: string, path = '/etc/wireguard/wg0.conf') =>
  parseQuickFile(text, path, { zones: numericZones, tables: TABLES });

const peer = {
  publicKey: Uint8Array.from(Buffer.from(PEER, 'base64')),
  lastHandshakeSeconds: 0,
  lastHandshakeNanoseconds: 0,
  rxBytes: 0,
  txBytes: 0,
  persistentKeepalive: 25,
  allowedIps: [parsePrefix('0.0.0.0/0')!],
};
const status: DeviceStatus = {
  privateKey: Uint8Array.from(Buffer.from(KEY, 'base64')),
  listenPort: 40001,
  fwmark: 51820,
  peers: [peer],
};

describe('parsing', () => {
  test('returns all keys that wg-quick knows, in order', () => {
    const file = parse(TEXT);
    expect(file).toMatchObject({
      name: 'wg0',
      dns: ['10.9.0.1', 'fd00:9::1'],
      search: ['example.org', 'corp.example'],
      mtu: 1380,
      table: 777,
      tableText: 'custom',
      saveConfig: true,
      hooks: {
        PreUp: ['before'],
        PostUp: ["iptables -A FORWARD -i %i -j ACCEPT; echo 'a  b = c'", 'second'],
        PreDown: ['ahead'],
        PostDown: ['after'],
      },
    });
    expect(file.addresses.map(({ address, prefixLength }) => `${formatAddress(address)}/${prefixLength}`)).toEqual([
      '10.9.0.2/24',
      'fd00:9::2/64',
      '10.9.5.5/32',
    ]);
    expect(file.wireguard.listenPort).toBe(51820);
    expect(file.wireguard.peers).toHaveLength(1);
  });

  test('strips its own keys and keeps the rest for wg setconf, comments included', () => {
    expect(parse(TEXT).stripped).toBe(`# a comment
[Interface]
PrivateKey = ${KEY}
ListenPort = 51820

[Peer]
PublicKey = ${PEER}
AllowedIPs = 0.0.0.0/0
`);
  });

  test.each([
    ['Table = auto', 'auto'],
    ['Table = off', 'off'],
    ['Table = 51', 51],
    ['Table = 0x10', 16],
    ['Table = main', 254],
    ['Table = OFF # of it', 'off'],
    ['table=Auto', 'auto'],
    ['TABLE\t=\tMain ', 254],
    ['Table =', 'auto'],
    ['Table = 7\nTable =', 'auto'],
    ['Table = off\nTable = 0X1f', 31],
    ['', 'auto'],
  ])('%s', (line, table) => {
    expect(parse(`[Interface]\n${line}\n`).table).toBe(table);
  });

  test.each([
    ['Address = 10.0.0.1/33', "`10.0.0.1/33'"],
    ['Address = 10.0.0.1/24, nonsense', "`nonsense'"],
    ['DNS = 1.1.1.1, bad name!', "`bad name!'"],
    ['MTU = 12', "`12'"],
    ['MTU = many', "`many'"],
    ['Table = nonesuch', "`nonesuch'"],
    ['Table = 0', "`0'"],
    ['SaveConfig = yes', "`yes'"],
    ['SaveConfig =', "`'"],
    ['PostUp = echo \0', '`echo \\x00'],
    ['PostUp = echo \ufffd', '`echo \ufffd'],
    ['DNS = 1.1.1.1.1', "`1.1.1.1.1'"],
    ['DNS = 10.0.0.1:x', "`10.0.0.1:x'"],
    ['Address = 10.0.0.1/24\u00a0', "`10.0.0.1/24\\xa0'"],
    ['Address = 10.0.0.1/255.0.255.0', "`10.0.0.1/255.0.255.0'"],
    ['MTU = 1\u00a0400', "`1\\xa0400'"],
    ['Foo = 1', "`Foo'"],
    ['ListenPort = 70000', "`70000'"],
  ])('%s: rejected with file, line and value', (line, value) => {
    expect(() => parse(`[Interface]\nAddress = 10.0.0.1/24\n${line}\n`)).toThrow(
      new RegExp(`^/etc/wireguard/wg0\\.conf:3: .*${value.replace(/[.*+?^$()|[\]\\]/g, '\\$&')}`),
    );
  });

  test.each([
    ['10.9.0.2/24,fd00:9::2/64,10.9.5.5', 'commas'],
    ['10.9.0.2/24 fd00:9::2/64 10.9.5.5', 'spaces'],
    ['10.9.0.2/24\tfd00:9::2/64\t10.9.5.5', 'tabs'],
    [' 10.9.0.2/24 ,\tfd00:9::2/64 , , 10.9.5.5,\r', 'a mixture'],
    ['10.9.0.2/255.255.255.0, fd00:9::2/64 10.9.5.5/255.255.255.255', 'netmasks'],
  ])('Address = %j: accepts a list with %s', text => {
    const { addresses } = parse(`[Interface]\nAddress = ${text}\n`);
    expect(addresses.map(({ address, prefixLength }) => `${formatAddress(address)}/${prefixLength}`)).toEqual([
      '10.9.0.2/24',
      'fd00:9::2/64',
      '10.9.5.5/32',
    ]);
  });

  test('DNS: accepts the same lists, and servers with a zone or a port', () => {
    const { dns, search } = parse(
      '[Interface]\nDNS = 10.9.0.1 example.org\tfe80::1%eth0,10.9.0.2:53 , [fd00::1]:53 ~corp . \n',
    );
    expect(dns).toEqual(['10.9.0.1', 'fe80::1%eth0', '10.9.0.2:53', '[fd00::1]:53']);
    expect(search).toEqual(['example.org', '~corp', '.']);
  });

  test('ignores a key without a value', () => {
    const empty = parse('[Interface]\nMTU =\nTable =  # none\nPostUp =\nPreDown=\t\r\nAddress =\nDNS = ,\n');
    const { stripped, ...rest } = parse('[Interface]\n');
    expect(empty).toEqual({ ...rest, stripped });
    // The last line of a key wins, as in wg-quick.
    expect(parse('[Interface]\nMTU = 1400\nMTU =\n')).not.toHaveProperty('mtu');
    expect(parse('[Interface]\nMTU = 1400\nMTU = 1380\n').mtu).toBe(1380);
  });

  test.each(['true', 'True', 'TRUE ', 'tRuE # yes'])('SaveConfig = %s means true', text => {
    expect(parse(`[Interface]\nSaveConfig = ${text}\n`).saveConfig).toBe(true);
    expect(parse(`[Interface]\nSaveConfig = ${text}\nSaveConfig = False\n`).saveConfig).toBe(false);
  });

  test('accepts wg-quick’s white space in keys, around sections and at line ends, and a byte order mark', () => {
    const { stripped, ...whole } = parse('[Interface]\nAddress = 10.9.0.2/24\nMTU = 1400\nListenPort = 5\n');
    const text = '\ufeff\v[ Interface\t]\f\r\n\tADDRESS=10.9.0.2/24\v\r\n M TU\f=\v1400 \r\nlisten port = 5\r\n';
    expect(parse(text)).toMatchObject(whole);
    expect(parse(text).stripped).toBe('\v[ Interface\t]\f\r\nlisten port = 5\r\n');
    expect(stripped).toBe('[Interface]\nListenPort = 5\n');
    expect(parse('[Interface]\nListenPort = 5').stripped).toBe(stripped);
  });

  test('names an invisible character', () => {
    expect(() => parse('[Interface]\nMTU =\u00a01400\n')).toThrow(
      /:2: MTU `\\xa01400': .*; in `MTU' there is an invisible character \(U\+00A0\): remove it, or type an ordinary space$/,
    );
    // Commands may contain them.
    expect(parse('[Interface]\nPostUp = echo "\u00a0"\n').hooks.PostUp).toEqual(['echo "\u00a0"']);
  });

  test('reports UTF-16 once', () => {
    const bytes = Buffer.from('[Interface]\nAddress = 10.9.0.2/24\n', 'utf16le');
    expect(() => parse(bytes.toString('utf8'))).toThrow(
      /^\/etc\/wireguard\/wg0\.conf: this file is UTF-16, .*iconv -f UTF-16LE/,
    );
  });

  test('parses or rejects a line of a megabyte at once', () => {
    const space = ' '.repeat(1024 * 1024);
    expect(parse(`[Interface]${space}\nMTU =${space}1400${space}#${space}x\n${space}x=1`.slice(0, -4)).mtu).toBe(1400);
    expect(() => parse(`[Interface]\nMTU = 1${space}4\n`)).toThrow(/:2: MTU `1 +\.\.\.'/);
  });

  test('leaves # in a hook to the shell, and starts a comment with it everywhere else', () => {
    const text = `[Interface] # of ours
Address = 10.9.0.2/24 # PostUp = no
PostUp = echo "a # b" # c
 postup=iptables -m comment --comment '#1'\r
PreDown = # nothing
# PostDown = no
MTU = 1400#no
`;
    const file = parse(text);
    expect(file.hooks).toEqual({
      PreUp: [],
      PostUp: ['echo "a # b" # c', "iptables -m comment --comment '#1'"],
      PreDown: ['# nothing'],
      PostDown: [],
    });
    const state = { status, addresses: [], mtu: 1400, ownMark: undefined };
    expect(parse(formatQuickFile(file, state, numericZones)).hooks).toEqual(file.hooks);
    expect(() => parse('[Interface]\nPostUp = echo \0 a\n')).toThrow(/:2: PostUp `echo .* no NUL bytes/);
  });

  test('rejects wg-quick’s keys in a [Peer]', () => {
    expect(() => parse(`[Peer]\nPublicKey = ${PEER}\nAddress = 10.0.0.1/24\n`)).toThrow(/:3: .*not a key of \[Peer\]/);
  });

  test('takes the interface’s name from the file’s name', () => {
    for (const path of ['wg0.txt', '/a/b/sixteen-letters1.conf', 'w g.conf', '.conf', '...conf'])
      expect(() => parse('[Interface]\n', path), path).toThrow(
        /must be named for its interface|the interface is named as the file/,
      );
    expect(parse('[Interface]\n', './a=b_c+d.e-f.conf').name).toBe('a=b_c+d.e-f');
  });
});

describe('saving', () => {
  const address = (text: string, prefixLength: number, scope: number) =>
    ({ index: 2, address: parseAddress(text)!, prefixLength, scope, flags: 0 }) as const;
  const addresses = [
    address('fe80::1', 64, SCOPE.link),
    address('fd00:9::2', 64, SCOPE.universe),
    address('10.9.0.7', 24, SCOPE.universe),
  ];

  test("keeps wg-quick's keys and takes the rest from the interface", () => {
    const text = formatQuickFile(parse(TEXT), { status, addresses, mtu: 1390, ownMark: 51820 }, numericZones);
    expect(text).toBe(`[Interface]
Address = 10.9.0.7/24
Address = fd00:9::2/64
DNS = 10.9.0.1
DNS = fd00:9::1
DNS = example.org
DNS = corp.example
MTU = 1390
Table = custom
SaveConfig = true
PreUp = before
PostUp = iptables -A FORWARD -i %i -j ACCEPT; echo 'a  b = c'
PostUp = second
PreDown = ahead
PostDown = after
ListenPort = 40001
PrivateKey = ${KEY}

[Peer]
PublicKey = ${PEER}
AllowedIPs = 0.0.0.0/0
PersistentKeepalive = 25
`);
    expect(parse(text).hooks).toEqual(parse(TEXT).hooks);
  });

  test('keeps a link-local address of the file, but not one that the kernel assigned', () => {
    const file = parse('[Interface]\nAddress = fe80::1/64, 10.9.0.7/24\n');
    const given = [...addresses, address('fe80::9', 64, SCOPE.link)];
    const text = formatQuickFile(file, { status, addresses: given, mtu: 1390, ownMark: 51820 }, numericZones);
    expect(text.match(/^Address = .*$/gm)).toEqual([
      'Address = 10.9.0.7/24',
      'Address = fe80::1/64',
      'Address = fd00:9::2/64',
    ]);
  });

  test('keeps a mark that the file sets', () => {
    const text = formatQuickFile(parse(TEXT), { status, addresses, mtu: 1390, ownMark: undefined }, numericZones);
    expect(text).toContain('FwMark = 0xca6c');
  });
});
