/**
 * The tables of keys in docs/en/up.md and docs/zh/up.md list exactly what the parsers accept, with
 * these values.
 */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { ConfigError } from '../../src/config/errors.ts';
import { numericZones } from '../../src/config/zones.ts';
import { HOOK_EVENTS, parseQuickFile, type QuickFile } from '../../src/quick/file.ts';
import { guides, REPOSITORY } from '../support/guide.ts';

const KEY = 'AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=';
const pages = (['en', 'zh'] as const).map(language => guides(language).find(({ name }) => name === 'up.md')!);

/** For each key, a value that is accepted and one that is rejected. */
const VALUES: Readonly<Record<string, Readonly<Record<string, readonly [good: string, bad: string | undefined]>>>> = {
  Interface: {
    PrivateKey: [KEY, 'short'],
    ListenPort: ['65535', '65536'],
    FwMark: ['off', 'on'],
    Address: ['10.0.0.1/24, fd00::1/64', '10.0.0.1/33'],
    DNS: ['10.0.0.1, example.org', '10.0.0.1;10.0.0.2'],
    MTU: ['68', '67'],
    Table: ['off', 'main2'],
    PreUp: ['true', undefined],
    PostUp: ['true', undefined],
    PreDown: ['true', undefined],
    PostDown: ['true', undefined],
    SaveConfig: ['true', 'yes'],
  },
  Peer: {
    PublicKey: [KEY, 'short'],
    PresharedKey: [KEY, 'short'],
    AllowedIPs: ['0.0.0.0/0,::/0', '0.0.0.0/33'],
    Endpoint: ['name.example:51820', 'name.example'],
    PersistentKeepalive: ['65535', '65536'],
  },
};

describe.each(pages.map((page, index) => [index === 0 ? 'English' : 'Chinese', page.text] as const))(
  '%s',
  (_, text) => {
    test.each(Object.keys(VALUES))('the table of [%s] lists these keys', section => {
      expect(tableKeys(text, section)).toEqual(Object.keys(VALUES[section]!));
    });
  },
);

test.each(Object.entries(VALUES))('the parsers know these keys of [%s] and no others', (section, values) => {
  const sources = ['src/config/conf.ts', 'src/quick/file.ts'].map(name => readFileSync(join(REPOSITORY, name), 'utf8'));
  // The cases of one function.
  const casesOf = (name: string) =>
    sources.flatMap(source => {
      const [, body = ''] = new RegExp(`^function ${name}\\(([\\s\\S]*?)^}$`, 'm').exec(source) ?? [];
      return [...body.matchAll(/case '([a-z]+)':/g)].map(([, key]) => key!);
    });
  const accepted =
    section === 'Interface'
      ? [...casesOf('readInterface'), ...casesOf('readKey'), ...HOOK_EVENTS.map(event => event.toLowerCase())]
      : casesOf('readPeer');
  expect(accepted.sort()).toEqual(
    Object.keys(values)
      .map(key => key.toLowerCase())
      .sort(),
  );
});

describe.each(Object.entries(VALUES))('[%s]', (section, values) => {
  test.each(Object.entries(values))('%s accepts a good value and rejects a bad one', (key, [good, bad]) => {
    expect(parse(section, `${key} = ${good}`)).toBeDefined();
    expect(parse(section, `${key.toUpperCase()}=${good} # comment`)).toBeDefined();
    if (bad !== undefined) expect(() => parse(section, `${key} = ${bad}`)).toThrow(ConfigError);
  });

  test('names a key that is not in the table', () => {
    expect(() => parse(section, 'Adress = 10.0.0.1/24')).toThrow(/Adress/);
  });
});

test('the last line wins for MTU, Table and SaveConfig, and lists grow', () => {
  const file = parse(
    'Interface',
    'MTU = 1400\nMTU = 1300\nTable = 7\nTable = off\nSaveConfig = true\nSaveConfig = false\nAddress = 10.0.0.1\nAddress = 10.0.0.2\nPostUp = a\nPostUp = b',
  );
  expect({ ...file, addresses: file.addresses.length }).toMatchObject({
    mtu: 1300,
    table: 'off',
    saveConfig: false,
    addresses: 2,
    hooks: { PostUp: ['a', 'b'] },
  });
});

function tableKeys(text: string, section: string): string[] {
  const [, table = ''] = new RegExp(`<!-- keys: ${section} -->\\n\\n((?:\\|.*\\n)+)`).exec(text) ?? [];
  return [...table.matchAll(/^\| `(\w+)` \|/gm)].map(([, key]) => key!);
}

function parse(section: string, lines: string): QuickFile {
  const peer = section === 'Peer' && !/publickey/i.test(lines) ? `\nPublicKey = ${KEY}` : '';
  return parseQuickFile(`[${section}]\n${lines}${peer}\n`, 'wg0.conf', { zones: numericZones });
}
