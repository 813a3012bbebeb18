/**
 * Compares our parser of configuration files with wg(8)'s on generated files: both accept a file
 * with the same settings, or both refuse it. wg connects to a control socket of the test, which
 * records its requests. WG_FUZZ_SEED replays a run, WG_FUZZ_FILES sets the number of files.
 */
import { execFile } from 'node:child_process';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { createServer, type Server } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { formatEndpoint } from '../../src/base/endpoint.ts';
import { formatKeyBase64 } from '../../src/base/key.ts';
import { formatPrefix } from '../../src/base/prefix.ts';
import { parseConf } from '../../src/config/conf.ts';
import { ConfigError } from '../../src/config/errors.ts';
import type { PeerConfig } from '../../src/config/model.ts';
import { UapiRequestParser } from '../../src/config/uapi.ts';
import { describeWith } from '../netns/needs.ts';
import { type Random, seeded } from '../support/random.ts';
import { SEED } from '../support/seeded-cases.ts';

const FILES = Number(process.env['WG_FUZZ_FILES'] ?? 400);
const NAME = `wd${process.pid.toString(36)}`;
const SOCKET = `/var/run/wireguard/${NAME}.sock`;
const folder = mkdtempSync(join(tmpdir(), 'wg-differential-'));
let server: Server;
let received: string[] = [];

describeWith(['root', 'wg'], 'a generated file', () => {
  beforeAll(async () => {
    mkdirSync('/var/run/wireguard', { recursive: true, mode: 0o755 });
    server = createServer({ allowHalfOpen: true }, socket => {
      let text = '';
      socket.setEncoding('latin1').on('data', (chunk: string) => {
        text += chunk;
        if (!text.endsWith('\n\n')) return;
        received.push(text);
        socket.end('errno=0\n\n');
      });
      socket.on('error', () => {});
    });
    await new Promise<void>(resolve => server.listen(SOCKET, resolve));
  });
  afterAll(() => {
    server.close();
    rmSync(SOCKET, { force: true });
    rmSync(folder, { recursive: true, force: true });
  });

  it('parses the same in wg and here', async () => {
    let [taken, refused] = [0, 0];
    for (let i = 0; i < FILES; i++) {
      const made = madeUp(seeded((SEED + i) >>> 0));
      // a single line that contains CR is refused as a file whose lines end in CR: see below
      const text = made.includes('\n') ? made : `${made}\n`;
      const [theirs, ours] = [await byWg(text), byUs(text)];
      expect(ours, `WG_FUZZ_SEED=${SEED + i}\n${JSON.stringify(text)}`).toEqual(theirs);
      if (theirs === 'refused') refused++;
      else taken++;
    }
    console.log(`WG_FUZZ_SEED=${SEED}, ${FILES} files, 0 differences: ${taken} taken, ${refused} refused`);
    expect(Math.min(taken, refused)).toBeGreaterThan(FILES > 100 ? FILES / 20 : -1);
  });

  // intended differences: input that wg accepts by mistake, and artefacts that only some programs
  // write
  it.each([
    ['[Interface]\r# a comment\r', 'taken', 'refused'],
    ['[Interface]\nListenPort = 65537\n', 'taken', 'refused'],
    ['[Interface]\nListenPort = domain\n', 'taken', 'refused'],
    ['[Interface]\nListenPort = 5\0garbage\n', 'taken', 'refused'],
    ['# one comment\r[Interface]\rListenPort = 5\r', 'taken', 'refused'],
    ['\ufeff[Interface]\nListenPort = 5\n', 'refused', 'taken'],
  ])('%j: %s by wg, %s by us', async (text, wg, us) => {
    const word = (outcome: unknown) => (outcome === 'refused' ? outcome : 'taken');
    expect([word(await byWg(text)), word(byUs(text))]).toEqual([wg, us]);
  });
});

type Outcome = 'refused' | Record<string, unknown>;

async function byWg(text: string): Promise<Outcome> {
  const path = join(folder, 'wg.conf');
  writeFileSync(path, text);
  received = [];
  const env = { ...process.env, WG_ENDPOINT_RESOLUTION_RETRIES: '0' };
  const status = await new Promise(resolve =>
    execFile('wg', ['addconf', NAME, path], { env }, error => resolve(error?.code ?? 0)),
  );
  if (status !== 0) return 'refused';
  const sent = received.find(each => each.startsWith('set='))!.trimEnd();
  const [request] = new UapiRequestParser().push(`${sent}\n\n`);
  if (request?.kind !== 'set') throw new Error(`wg sent a request that we refuse: ${sent}`);
  const { peers = [], ...device } = request.config;
  return comparable(device, peers);
}

function byUs(text: string): Outcome {
  try {
    const { peers, ...device } = parseConf(text, 'wg.conf');
    const plain = peers.map(({ endpointLine, endpoint, ...peer }): PeerConfig => {
      if (endpoint && !(endpoint instanceof Uint8Array)) throw new Error(`a name: ${endpoint.host}`);
      return { ...peer, ...(endpoint && { endpoint }) };
    });
    return comparable(device, plain);
  } catch (error) {
    if (error instanceof ConfigError) return 'refused';
    throw error;
  }
}

/**
 * Makes both outcomes comparable as text: wg sends each setting of a peer once, in its own order.
 */
function comparable(device: object, peers: readonly PeerConfig[]): Record<string, unknown> {
  return {
    ...Object.fromEntries(Object.entries(device).map(([key, value]) => [key, String(value)])),
    peers: peers.map(({ publicKey, presharedKey, endpoint, persistentKeepalive, allowedIps = [] }) => ({
      publicKey: formatKeyBase64(publicKey),
      presharedKey: presharedKey && formatKeyBase64(presharedKey),
      endpoint: endpoint && formatEndpoint(endpoint),
      persistentKeepalive,
      allowedIps: allowedIps.map(({ prefix }) => formatPrefix(prefix)),
    })),
  };
}

const KEYS = [
  'oK56DE9Ue9zK76rAc8pBl6opph+1v36lm7cXXsQKrQM=',
  'GtL7fZc/bLnqZldpVofMCD6hDjrK28SsdLxevJ+qtKU=',
  'xTIBA5rboUvnH4htodjb6e697QjLERt1NAB4mZqp8Dg=',
];
const SPACES = ['', '', '', ' ', '  ', '\t', ' \t ', '\v', '\f', '\r'];
const VALUES: Readonly<Record<string, readonly string[]>> = {
  PrivateKey: [...KEYS, KEYS[0]!.slice(1), ''],
  ListenPort: ['0', '51820', '65535', '007', '-1', '0x10', '5 1', ''],
  FwMark: ['off', 'OFF', '0', '0x0', '0xca6c', '0XCA6C', '51820', '010', '4294967295', '4294967296', '0x', 'red', ''],
  PublicKey: [...KEYS, KEYS[1]!.slice(1)],
  PresharedKey: [...KEYS, ''],
  AllowedIPs: [
    '10.0.0.0/8',
    '10.0.0.1',
    'fd00::/8, 10.1.0.0/16',
    '0.0.0.0/0,::/0',
    '10.0.0.1/24 , ::1',
    '10.0.0.0/8 fd00::/8',
    '10.0.0.0/8,',
    '10.0.0.0/33',
    'fe80::1/128',
    '',
  ],
  Endpoint: ['192.0.2.1:51820', '[2001:db8::1]:4242', '::1:7', '192.0.2.1', '[::1]', '[192.0.2.1]:9', ''],
  PersistentKeepalive: ['off', 'Off', '0', '25', '65535', '65536', '25s', '0x19', '0025', ''],
};
const SECTIONS: Readonly<Record<string, readonly string[]>> = {
  '[Interface]': ['PrivateKey', 'ListenPort', 'FwMark'],
  '[Peer]': ['PresharedKey', 'AllowedIPs', 'Endpoint', 'PersistentKeepalive'],
};

/**
 * Generates sections and keys in any case, order and number, with white space and comments
 * anywhere, and with occasional errors.
 */
function madeUp(random: Random): string {
  const strange = random.chance(0.5);
  const space = () => random.pick(SPACES);
  const cased = (word: string) =>
    random.chance(0.7) ? word : [...word].map(c => (random.chance(0.5) ? c.toUpperCase() : c.toLowerCase())).join('');
  const end = () =>
    `${space()}${random.chance(0.2) ? '# a \u00a0comment = [Peer] #' : ''}${random.chance(0.3) ? '\r' : ''}`;
  const setting = (key: string) => {
    const values = VALUES[key]!;
    const value = strange ? random.pick(values) : random.pick(values.slice(0, 3));
    return `${space()}${cased(key)}${space()}=${space()}${value}${end()}`;
  };
  const lines: string[] = strange && random.chance(0.05) ? ['ListenPort = 1'] : [];
  for (let i = random.below(4); i >= 0; i--) {
    const name = random.pick(Object.keys(SECTIONS));
    lines.push(`${space()}${cased(name)}${space()}${end()}`);
    if (name === '[Peer]' && !(strange && random.chance(0.05))) lines.push(setting('PublicKey'));
    for (let j = random.below(5); j > 0; j--) {
      const odd = ['nonsense', '; comment', 'Address = 10.0.0.1/24', '[Server]', '=', '[Interface', 'ListenPort'];
      if (strange && random.chance(0.04)) lines.push(random.pick(odd));
      else if (random.chance(0.15)) lines.push(random.pick(['', ' \t', '# comment', '#', '\r']));
      else lines.push(setting(random.pick(SECTIONS[name]!)));
    }
  }
  return `${lines.join('\n')}${random.chance(0.2) ? '' : '\n'}`;
}
