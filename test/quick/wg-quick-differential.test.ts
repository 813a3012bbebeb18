/**
 * Compares our reader of wg-quick's files with wg-quick(8) itself on random files: what it strips
 * them to, and the arguments that `up` passes to other programs. Stand-ins next to a copy of
 * wg-quick record these arguments. Every file is one that wg-quick of 2021 and of 2026 read alike;
 * where today's differs, the cases are in file.test.ts. WG_FUZZ_SEED replays a run, WG_FUZZ_FILES
 * sets the number of files.
 *
 * @module-tag slow
 */
import { execFile, execFileSync } from 'node:child_process';
import { chmodSync, copyFileSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { formatAddress, parseAddress } from '../../src/base/address.ts';
import { parseConf } from '../../src/config/conf.ts';
import { numericZones } from '../../src/config/zones.ts';
import { parseQuickFile, type QuickFile } from '../../src/quick/file.ts';
import { describeWith } from '../netns/needs.ts';
import { type Random, seeded } from '../support/random.ts';
import { SEED } from '../support/seeded-cases.ts';

const FILES = Number(process.env['WG_FUZZ_FILES'] ?? 150);
const folder = mkdtempSync(join(tmpdir(), 'wg-quick-differential-'));
const FILE = join(folder, 'wq0.conf');
const LOG = join(folder, 'log');
const PREFIX = '10.77.0.0/16';

describeWith(['root', 'wg-quick'], 'random files', () => {
  beforeAll(() => {
    // wg-quick looks for programs in its own folder first.
    copyFileSync(execFileSync('which', ['wg-quick'], { encoding: 'utf8' }).trim(), join(folder, 'wg-quick'));
    const note = `printf '%s\\0' "\${0##*/}" "$@" >>${LOG}; printf '\\n' >>${LOG}`;
    standIn('ip', `[[ $* == "link show dev wq0" ]] && exit 1\n${note}`);
    // The single allowed IP reveals the table, and a mark of its own keeps `up` from choosing one.
    standIn('wg', `[[ $* == "show wq0 allowed-ips" ]] && echo 'KEY ${PREFIX}'\n[[ $1 == show ]] || ${note}`);
    standIn('resolvconf', `${note}; [[ $1 != -a ]] || cat >>${LOG}`);
    for (const program of ['sysctl', 'nft', 'iptables', 'ip6tables']) standIn(program, note);
  });
  afterAll(() => rmSync(folder, { recursive: true, force: true }));

  it('mean the same to wg-quick and to us', async () => {
    const seen = new Set<string>();
    for (let i = 0; i < FILES; i++) {
      const text = randomFile(seeded((SEED + i) >>> 0));
      writeFileSync(FILE, text, { mode: 0o600 });
      const file = parseQuickFile(text, FILE, { zones: numericZones });
      const where = `WG_FUZZ_SEED=${SEED + i}\n${JSON.stringify(text)}`;
      const strip = await wgQuick('strip');
      expect(`${file.stripped}\n`, where).toBe(strip.stdout);
      expect(parseConf(strip.stdout, 'stripped'), where).toEqual(file.wireguard);
      const effects = await theirs();
      expect(ours(file), where).toEqual(effects);
      for (const [key, value] of Object.entries(effects)) if (value !== undefined && value.length > 0) seen.add(key);
    }
    console.log(`WG_FUZZ_SEED=${SEED}, ${FILES} files, 0 differences`);
    if (FILES > 50) expect([...seen].toSorted()).toEqual(['addresses', 'dns', 'hooks', 'mtu', 'table']);
  });
});

function standIn(name: string, script: string): void {
  writeFileSync(join(folder, name), `#!/bin/bash\n${script}\n`);
  chmodSync(join(folder, name), 0o755);
}

function wgQuick(verb: string): Promise<{ stdout: string; stderr: string }> {
  return new Promise((resolve, reject) =>
    execFile(join(folder, 'wg-quick'), [verb, FILE], (error, stdout, stderr) =>
      error ? reject(new Error(`${error.message}\n${stderr}`)) : resolve({ stdout, stderr }),
    ),
  );
}

interface Deeds {
  readonly addresses: readonly string[];
  readonly mtu: string | undefined;
  readonly table: string | undefined;
  readonly dns: readonly string[];
  readonly hooks: readonly string[];
}

async function theirs(): Promise<Deeds> {
  rmSync(LOG, { force: true });
  const { stderr } = await wgQuick('up');
  const log = readFileSync(LOG, 'utf8').split('\n');
  const commands = log.map(line => line.split('\0').slice(0, -1));
  const resolvers = log.filter(line => /^(nameserver|search) /.test(line));
  const route = commands.find(([, , verb]) => verb === 'route')!;
  return {
    addresses: commands.flatMap(([, , verb, action, address]) =>
      verb === 'address' && action === 'add' ? whole(address!) : [],
    ),
    mtu: commands.find(([program, verb, , what]) => program === 'ip' && verb === 'link' && what === 'mtu')?.[4],
    table: route?.includes('table') ? route.at(-1) : undefined,
    dns: resolvers.flatMap(line => line.split(' ').slice(1)).toSorted(),
    hooks: stderr.split('\n').flatMap(line => /^\[#\] (: .*)$/.exec(line)?.[1] ?? []),
  };
}

function ours(file: QuickFile): Deeds {
  const { dns, search, hooks } = file;
  return {
    addresses: file.addresses.map(({ address, prefixLength }) => `${formatAddress(address)}/${prefixLength}`),
    mtu: String(file.mtu ?? 1420),
    table: file.table === 'auto' ? undefined : String(file.tableText),
    // wg-quick does not ask for search domains without servers either.
    dns: dns.length > 0 ? [...dns, ...search].toSorted() : [],
    hooks: [...hooks.PreUp, ...hooks.PostUp].map(hook => hook.replaceAll('%i', 'wq0')),
  };
}

function whole(text: string): string {
  return text.includes('/') ? text : `${text}/${parseAddress(text)!.length * 8}`;
}

const SPACES = ['', '', ' ', '  ', '\t', ' \t'];
const BETWEEN = [',', ', ', ' , ', ' ', '\t', '  ', ',\t', ',,', ' ,, '];
const ITEMS: Readonly<Record<string, readonly string[]>> = {
  Address: ['10.9.0.2/24', '10.9.5.5', 'fd00:9::2/64', 'fd00::7', '192.0.2.200/31'],
  DNS: ['10.9.0.1', 'fd00::53', 'example.org', 'corp.example', '9.9.9.9', '_x.example'],
};
const VALUES: Readonly<Record<string, readonly string[]>> = {
  MTU: ['1400', '1280', '9000', ''],
  Table: ['auto', '51', 'main', '0x33', ''],
  SaveConfig: ['true', 'True', 'FALSE', 'false'],
  PreUp: [': %i', ': before  "a = b"', ''],
  PostUp: [": 'x y' %i%i", ': [Peer]', ''],
  PreDown: [': down'],
  PostDown: [': after', ''],
  ListenPort: ['51820', '0'],
  PrivateKey: ['oK56DE9Ue9zK76rAc8pBl6opph+1v36lm7cXXsQKrQM='],
  FwMark: ['off', '0x10'],
};

/**
 * Generates an [Interface] with all keys in any order, case and number, then peers, with white
 * space and comments anywhere.
 */
function randomFile(random: Random): string {
  const newline = random.pick(['\n', '\n', '\r\n']);
  const space = () => random.pick(SPACES);
  const cased = (word: string) =>
    random.chance(0.6) ? word : random.chance(0.5) ? word.toUpperCase() : word.toLowerCase();
  const comment = () => (random.chance(0.2) ? '# a comment = [Peer], #' : '');
  const list = (items: readonly string[]) =>
    Array.from({ length: random.below(4) }, () => random.pick(items)).join(random.pick(BETWEEN));
  const setting = (key: string): string => {
    const value = key in ITEMS ? list(ITEMS[key]!) : random.pick(VALUES[key]!);
    return `${space()}${cased(key)}${space()}=${space()}${value}${space()}${key.startsWith('P') ? '' : comment()}`;
  };
  const keys = [...Object.keys(ITEMS), ...Object.keys(VALUES)];
  const lines = random.chance(0.3) ? ['# first', ''] : [];
  lines.push(`${space()}${cased('[Interface]')}${space()}${comment()}`);
  for (let i = random.below(16); i > 0; i--)
    lines.push(random.chance(0.1) ? random.pick(['', '# c', ' \t']) : setting(random.pick(keys)));
  for (let i = random.below(3); i > 0; i--)
    lines.push(
      `${space()}${cased('[Peer]')}`,
      `PublicKey = GtL7fZc/bLnqZldpVofMCD6hDjrK28SsdLxevJ+qtKU=`,
      `${space()}AllowedIPs = ${PREFIX}, fd00::/8${space()}${comment()}`,
    );
  return `${lines.join(newline)}${random.chance(0.2) ? '' : newline}`;
}
