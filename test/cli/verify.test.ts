/** `wgts verify` from files: every pair, this machine's device, and large clusters. */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import type { SystemBackend } from '../../src/backend/system.ts';
import { verify } from '../../src/cli/commands/verify.ts';
import type { DeviceStatus } from '../../src/config/model.ts';
import { keyOf, keyText } from '../calico/agent/cluster.ts';
import { ScriptedApi } from '../calico/datastore/api/scripted-api.ts';
import { SLOW } from '../support/selection.ts';
import { OWN_RUN, run } from './run-program.ts';
import { type Outcome, runCommand } from './terminal-for-test.ts';
import { FELIX, nodeObject } from './verify-objects.ts';

const WGTS = fileURLToPath(new URL('../../dist/program/wgts.cjs', import.meta.url));
let folder: string;
let file: string;

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'wgts-verify-'));
  file = join(folder, 'cluster.json');
});
afterEach(() => rmSync(folder, { recursive: true }));

function write(...objects: unknown[]): void {
  writeFileSync(file, JSON.stringify({ apiVersion: 'v1', kind: 'List', items: [FELIX, ...objects] }));
}

/** Returns the local machine with these devices. */
function machine(devices: Readonly<Record<string, DeviceStatus>>, kind = 'userspace'): () => SystemBackend {
  const backend = {
    list: async () => Object.keys(devices),
    get: async (name: string) => devices[name],
    of: async () => ({ kind }),
    close: () => {},
  };
  return () => backend as unknown as SystemBackend;
}

const verified = (args: readonly string[] = [], backend = machine({}), now = 1000): Promise<Outcome> =>
  runCommand(verify, ['--cluster-from', file, ...args], backend, { now: () => now });

function device(own: number, peers: readonly [key: number, handshake: number][]): DeviceStatus {
  return {
    publicKey: keyOf(own),
    listenPort: 51820,
    fwmark: 0,
    peers: peers.map(([key, lastHandshakeSeconds]) => ({
      publicKey: keyOf(key),
      lastHandshakeSeconds,
      lastHandshakeNanoseconds: 0,
      rxBytes: 0,
      txBytes: 0,
      persistentKeepalive: 0,
      allowedIps: [],
    })),
  };
}

const lines = ({ out }: Outcome): string[] => out.trimEnd().split('\n');

test('exits with 0 when every pair is encrypted', async () => {
  write(nodeObject('b', keyText(2)), nodeObject('a', keyText(1)));
  const outcome = await verified();
  expect(outcome.status).toBe(0);
  expect(lines(outcome)).toEqual([
    'FAMILY  NODE  NODE  STATE      BACKEND  HANDSHAKE  WHY NOT',
    'IPv4    a     b     encrypted  -        -',
  ]);
});

test('exits with 1 and names a node without a key', async () => {
  write(nodeObject('a', keyText(1)), nodeObject('b', keyText(2)), nodeObject('c'));
  const outcome = await verified();
  expect(outcome.status).toBe(1);
  expect(lines(outcome).slice(2)).toEqual([
    'IPv4    a     c     PLAINTEXT  -        -          c: no-key',
    'IPv4    b     c     PLAINTEXT  -        -          c: no-key',
  ]);
});

test('exits with 1 and names an address that is no endpoint or belongs to two nodes', async () => {
  write(
    nodeObject('a', keyText(1), '10.0.0.1'),
    nodeObject('b', keyText(2), '127.0.0.1'),
    nodeObject('c', keyText(3), '10.0.0.1'),
    nodeObject('d', keyText(4), '10.0.0.4'),
  );
  const { status, out } = await verified();
  expect(status).toBe(1);
  const lines = out.split('\n').filter(line => line.includes('unusable-node-address'));
  expect(lines.map(line => line.trim().split(/\s+/).slice(1, 3).join(' '))).toEqual(['a b', 'a c', 'b c', 'b d']);
  expect(lines[1]).toMatch(/a: unusable-node-address.*c: unusable-node-address/);
});

test('adds the backend, the handshakes and missing peers of the local device', async () => {
  const names = ['a', 'b', 'c', 'd'];
  write(...names.map((name, i) => nodeObject(name, keyText(i + 1))));
  const here = machine({
    'tunl-wg.cali': device(2, [
      [1, 940],
      [3, 0],
    ]),
  });
  const outcome = await verified([], here);
  expect(outcome.status).toBe(1);
  expect(
    lines(outcome)
      .slice(1)
      .map(line => line.split(/ {2,}/).slice(1)),
  ).toEqual([
    ['a', 'b', 'encrypted', 'userspace', '60 s ago'],
    ['a', 'c', 'encrypted', '-', '-'],
    ['a', 'd', 'encrypted', '-', '-'],
    ['b', 'c', 'encrypted', 'userspace', 'never'],
    ['b', 'd', 'PLAINTEXT', 'userspace', 'never', 'the device here has no such peer'],
    ['c', 'd', 'encrypted', '-', '-'],
  ]);
});

test('--node shows only that node’s pairs, and its exit status covers only those', async () => {
  write(nodeObject('a', keyText(1)), nodeObject('b', keyText(2)), nodeObject('c', keyText(3)), nodeObject('d'));
  const outcome = await verified(['--node', 'd']);
  expect([outcome.status, lines(outcome).length]).toEqual([1, 4]);
  await expect(verified(['--node', 'x'])).rejects.toMatchObject({ code: 'ENOENT', message: 'there is no Node x' });
});

test('--json prints the same for programs', async () => {
  write(nodeObject('a', keyText(1)), nodeObject('b', keyText(2)), nodeObject('c', 'no key'));
  const { status, out } = await verified(['--json'], machine({ wg: device(1, [[2, 5]]) }, 'kernel'));
  expect(status).toBe(1);
  expect(JSON.parse(out)).toMatchObject({
    encrypted: false,
    pairCount: 3,
    plaintextCount: 2,
    pairs: [
      { family: 4, a: 'a', b: 'b', encrypted: true, because: [], backend: 'kernel', lastHandshake: 5 },
      { a: 'a', b: 'c', encrypted: false, because: ['c: invalid-key'] },
      { a: 'b', b: 'c' },
    ],
    problems: [],
  });
});

test('exits with 1 when WireGuard is off, with 0 for a single node, and fails without Nodes', async () => {
  const off = { ...FELIX, spec: { wireguardEnabled: false } };
  const all = (...objects: unknown[]): void =>
    writeFileSync(file, JSON.stringify({ apiVersion: 'v1', kind: 'List', items: [off, ...objects] }));
  all(nodeObject('a'), nodeObject('b'));
  const outcome = await verified();
  expect([outcome.status, outcome.out]).toEqual([1, expect.stringMatching(/nothing is encrypted/)]);
  expect(JSON.parse((await verified(['--json'])).out)).toMatchObject({ encrypted: false, pairs: [] });
  all(nodeObject('a'));
  expect((await verified()).status).toBe(0);
  all();
  await expect(verified()).rejects.toMatchObject({ code: 'ENOENT', message: /has no Nodes/ });
});

describe('a thousand nodes', () => {
  const many = (keyless: (i: number) => boolean): void =>
    write(
      ...Array.from({ length: 1000 }, (_, i) => {
        const key = Buffer.alloc(32, 1);
        key.writeUInt32BE(i, 0);
        return nodeObject(`n${String(i).padStart(4, '0')}`, keyless(i) ? undefined : key.toString('base64'));
      }),
    );

  test('prints a summary and the pairs in the clear', async () => {
    many(i => i === 500);
    const outcome = await verified();
    expect(outcome.status).toBe(1);
    const printed = lines(outcome);
    expect(printed.length).toBe(1 + 200 + 3);
    expect(printed.slice(1, 201).every(line => line.includes('PLAINTEXT'))).toBe(true);
    expect(printed.slice(201)).toEqual([
      '... and 799 more pairs in the clear: --all prints each',
      '498501 of 499500 pairs are encrypted, 999 are PLAINTEXT',
      'IPv4 no-key: 1 node: n0500',
    ]);
  });

  test('prints one line when every pair is encrypted', async () => {
    many(() => false);
    const outcome = await verified();
    expect([outcome.status, lines(outcome)]).toEqual([0, ['499500 of 499500 pairs are encrypted, 0 are PLAINTEXT']]);
  });

  test('prints a bounded number of lines when every pair is in the clear', async () => {
    many(() => true);
    const printed = lines(await verified());
    expect(printed.length).toBe(204);
    expect(printed.at(-1)).toMatch(/^IPv4 no-key: 1000 nodes: n0000, .* and 980 more$/);
  });

  test('streams every pair with --all and --json in little memory', async () => {
    many(i => i === 500);
    for (const option of ['--all', '--json']) {
      const program = [
        ...OWN_RUN,
        process.execPath,
        '--max-old-space-size=128',
        WGTS,
        'verify',
        '--cluster-from',
        file,
        option,
      ];
      const { status, out, err } = await run(program);
      expect([status, err]).toEqual([1, '']);
      if (option === '--all') expect(out.split('\n').length).toBe(499_500 + 2);
      else expect((JSON.parse(out) as { pairs: unknown[] }).pairs.length).toBe(499_500);
    }
  });
});

test.each<[string[], RegExp]>([
  [['--kubeconfig', 'a', '--cluster-from', 'b'], /give one of them/],
  [['--bogus'], /unknown option `--bogus'/],
  [['--json', '--all'], /leave --all out/],
  [['--node='], /--node has an empty value/],
])('rejects %j', async (args, says) => {
  await expect(runCommand(verify, args, machine({}))).rejects.toThrow(says);
});

describe('an unreadable cluster is a one-line error with status 3', () => {
  test('a missing file', async () => {
    const { status, out, err } = await run([
      ...OWN_RUN,
      process.execPath,
      WGTS,
      'verify',
      '--cluster-from',
      join(folder, 'none'),
    ]);
    expect([status, out]).toEqual([3, '']);
    expect(err).toMatch(/^wgts: the cluster cannot be read: .*none.*\n$/);
  });

  test('a file that is not YAML', async () => {
    writeFileSync(file, '{[');
    const { status, err } = await run([...OWN_RUN, process.execPath, WGTS, 'verify', '--cluster-from', file]);
    expect(status).toBe(3);
    expect(err).toMatch(/^File\/\S+: InvalidFile: .*\nwgts: the cluster has no Nodes.*\n$/);
  });

  test('a missing kubeconfig', async () => {
    const { status, err } = await run([
      ...OWN_RUN,
      process.execPath,
      WGTS,
      'verify',
      '--kubeconfig',
      join(folder, 'none'),
    ]);
    expect(status).toBe(3);
    expect(err).toMatch(/^wgts: cannot find the cluster: .*none.*--cluster-from PATH\n$/);
  });

  test('an unreachable server, within the timeout', { tags: SLOW }, async () => {
    const api = new ScriptedApi();
    await api.start();
    await api.stop();
    try {
      const { status, err } = await run([...OWN_RUN, process.execPath, WGTS, 'verify', '--kubeconfig', api.kubeconfig]);
      expect(status).toBe(3);
      expect(err).toMatch(/^wgts: the cluster cannot be read: .*ECONNREFUSED.*\n$/);
    } finally {
      await api.close();
    }
  });
});

test('works without root', async () => {
  write(nodeObject('a', keyText(1)), nodeObject('b', keyText(2)));
  // A user namespace of its own drops root's rights outside, while the files stay readable wherever
  // they are.
  const { status, out, err } = await run([
    ...OWN_RUN,
    ...(process.getuid?.() === 0 ? ['unshare', '-U'] : []),
    process.execPath,
    WGTS,
    'verify',
    '--cluster-from',
    file,
  ]);
  expect([status, err]).toEqual([0, '']);
  expect(out).toMatch(/encrypted/);
});
