/**
 * wgts against the real wg: the same input must give the same output, exit status and requests to
 * the device.
 *
 * @module-tag slow
 */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, beforeEach, expect, test } from 'vitest';
import { describeWith } from '../netns/needs.ts';
import { FakeDevice } from '../support/fake-device.ts';
import { normal, type Options, run } from './run-program.ts';
import { CONFS, FIELDS, hex, KEY, STATUS, TRUNCATED_BY_WG, WRONG } from './wg-cases.ts';

const WGTS = [process.execPath, fileURLToPath(new URL('../../dist/program/wgts.cjs', import.meta.url))];
const WG = ['wg'];
describeWith(['root', 'wg'], 'wgts and wg', () => {
  const device = new FakeDevice(`wgf${process.pid}`.slice(0, 15));
  const folder = mkdtempSync(join(tmpdir(), 'wgts-test-'));
  beforeAll(() => device.open());
  beforeEach(() => {
    device.requests.length = 0;
    device.status = '';
    device.setErrno = 0;
  });
  afterAll(() => {
    device.close();
    rmSync(folder, { recursive: true });
  });

  const file = (text: string) => {
    const path = join(folder, 'file');
    writeFileSync(path, text);
    return path;
  };

  async function both(args: readonly string[], options: Options = {}) {
    const results = [];
    for (const program of [WG, WGTS]) {
      device.requests.length = 0;
      results.push({ ...(await run([...program, ...args], options)), requests: device.requests.map(normal) });
    }
    return { wg: results[0]!, wgts: results[1]! };
  }

  test.each(Object.keys(STATUS))('show, with each field, and showconf print the same: %s', async name => {
    device.status = STATUS[name]!;
    for (const args of [['showconf'], ...FIELDS.map(field => ['show', field])]) {
      const [command, ...field] = args as [string, ...string[]];
      const { wg, wgts } = await both([command, device.name, ...field]);
      expect(wgts, args.join(' ')).toEqual(wg);
    }
    for (const env of [{}, { WG_HIDE_KEYS: 'never' }, { WG_COLOR_MODE: 'always' }]) {
      const { wg, wgts } = await both(['show', device.name], { env });
      // A second may have passed between the two.
      const still = (text: string) => text.replace(/^.*latest handshake.*$/gm, '');
      expect(still(wgts.out)).toBe(still(wg.out));
      expect(wgts.status).toBe(wg.status);
    }
  });

  test('show all and show interfaces name the device', async () => {
    device.status = STATUS['every field']!;
    for (const field of FIELDS) {
      const { wg, wgts } = await both(['show', 'all', field]);
      const ours = (text: string) => text.split('\n').filter(line => line.startsWith(`${device.name}\t`));
      // wg omits the interface's name on every line of the endpoints but the first.
      if (field === 'endpoints') expect(ours(wgts.out)).toHaveLength(2);
      else expect(ours(wgts.out)).toEqual(ours(wg.out));
      expect(ours(wgts.out).length).toBeGreaterThan(0);
    }
    const { wgts } = await both(['show', 'interfaces']);
    expect(wgts.out.trim().split(' ')).toContain(device.name);
  });

  test.each(Object.keys(CONFS))('setconf and addconf send the same request: %s', async name => {
    for (const command of ['setconf', 'addconf']) {
      const { wg, wgts } = await both([command, device.name, file(CONFS[name]!)]);
      expect(wg.status).toBe(0);
      // wgts names the line of the file and the reason, in addition to wg's words.
      const words = (text: string) =>
        [...text.matchAll(/Warning: .*?(AllowedIP has nonzero host part)/g)].map(([, said]) => said);
      expect({ ...wgts, err: words(wgts.err) }).toEqual({ ...wg, err: words(wg.err) });
      expect(wgts.err.split('\n').length).toBe(wg.err.split('\n').length);
    }
  });

  test('syncconf removes peers that are not in the file and sends only changes of the others', async () => {
    device.status = STATUS['every field']!;
    const conf = `[Interface]\nPrivateKey=${KEY.private}\nListenPort=51820\nFwMark=255\n[Peer]\nPublicKey=${KEY.a}\nPresharedKey=${KEY.psk}\nAllowedIPs=fd00::/8,10.0.0.0/8\nEndpoint=192.0.2.1:1\n`;
    const { status, out, err } = await run([
      ...WGTS,
      'syncconf',
      device.name,
      file(`${conf}PersistentKeepalive=3661\n`),
    ]);
    expect({ status, out, err }).toEqual({ status: 0, out: '', err: '' });
    expect(device.requests.slice(1)).toEqual([`set=1\npublic_key=${hex(KEY.b)}\nremove=true\n\n`]);
    device.requests.length = 0;
    await run([
      ...WGTS,
      'syncconf',
      device.name,
      file(`${conf.replace('fd00::/8,', '')}[Peer]\nPublicKey=${KEY.b}\nAllowedIPs=::/0,0.0.0.0/0\n`),
    ]);
    expect(device.requests.slice(1)).toEqual([
      `set=1\npublic_key=${hex(KEY.a)}\nupdate_only=true\npersistent_keepalive_interval=0\nreplace_allowed_ips=true\nallowed_ip=10.0.0.0/8\n\n`,
    ]);
  });

  test.each([
    ['listen-port', '7'],
    ['fwmark', '0xff'],
    ['fwmark', 'off', 'listen-port', '0'],
    ['peer', KEY.a],
    ['peer', KEY.a, 'remove'],
    ['peer', KEY.a, 'allowed-ips', '10.0.0.0/8,fd00::/8', 'persistent-keepalive', '25'],
    ['peer', KEY.a, 'allowed-ips', ''],
    [
      'peer',
      KEY.a,
      'preshared-key',
      '/dev/null',
      'endpoint',
      '[2001:db8::1]:51820',
      'peer',
      KEY.b,
      'persistent-keepalive',
      'off',
    ],
    ['private-key', '/dev/null'],
  ])('set %s %s %s %s %s sends the same request', async (...words) => {
    const { wg, wgts } = await both(['set', device.name, ...words.filter(word => word !== undefined)]);
    expect(wg.status).toBe(0);
    expect(wgts).toEqual(wg);
  });

  test('reads keys from files and from standard input', async () => {
    for (const words of [
      ['private-key', file(`${KEY.private}\n`)],
      ['peer', KEY.a, 'preshared-key', file(KEY.psk)],
    ]) {
      const { wg, wgts } = await both(['set', device.name, ...words]);
      expect(wgts).toEqual(wg);
      expect(wgts.requests).toHaveLength(1);
    }
    // wg cannot reopen standard input where it is a socket, as here; wgts can.
    const { wg, wgts } = await both(['set', device.name, 'private-key', '/dev/stdin'], { input: `${KEY.private}\n` });
    expect(wg.status).toBe(1);
    expect(wgts).toMatchObject({ status: 0, requests: [[`set=1\nprivate_key=${hex(KEY.private)}`]] });
    const { wg: key, wgts: ours } = await both(['pubkey'], { input: `${KEY.private}\n` });
    expect(ours).toEqual(key);
  });

  test.each([...Object.entries(WRONG), ...Object.entries(TRUNCATED_BY_WG)])(
    'rejects a file with %s, names the file and the line, and sends nothing',
    async (name, conf) => {
      const path = file(conf);
      const { wg, wgts } = await both(['setconf', device.name, path]);
      if (!(name in TRUNCATED_BY_WG)) expect(wg.status).toBe(1);
      expect(wgts).toMatchObject({ status: 1, out: '', requests: [] });
      expect(wgts.err).toMatch(new RegExp(`^wgts: ${path}:${name === 'a peer without key' ? 1 : '[0-9]+'}: .{20,}\n$`));
      // Errors never repeat a secret.
      expect(wgts.err).not.toMatch(/aaaa|qqqq|secret/);
    },
  );

  test.each([
    [[]],
    [['listen-port']],
    [['listen-port', 'x']],
    [['colour', 'red']],
    [['peer']],
    [['peer', 'x']],
    [['peer', KEY.a, 'listen-port', '1']],
    [['peer', KEY.a, 'endpoint', 'nowhere']],
    [['peer', KEY.a, 'allowed-ips', '10.0.0.0/8,,']],
    [['private-key', '/nonexistent/file']],
  ])('rejects set %j and sends nothing', async words => {
    const { wg, wgts } = await both(['set', device.name, ...words]);
    expect(wg.status).toBe(1);
    expect(wgts).toMatchObject({ status: 1, out: '', requests: [] });
    expect(wgts.err.length).toBeGreaterThan(20);
  });

  test('reports a refusal of the device with status 1', async () => {
    device.setErrno = -98;
    const { wg, wgts } = await both(['set', device.name, 'listen-port', '1']);
    expect(wg.status).toBe(1);
    expect(wgts.status).toBe(1);
    expect(wgts.err).toMatch(
      /^wgts: \S+: UDP port 1 is in use, by .*: choose another ListenPort, or stop the program that holds it\n$/,
    );
  });

  test('reports an interface that does not exist', async () => {
    const { status, err } = await run([...WGTS, 'show', 'nowhere0']);
    expect(status).toBe(1);
    expect(err).toMatch(/no interface `nowhere0'/);
  });

  test('--json prints every field, and secrets only on demand', async () => {
    device.status = STATUS['every field']!;
    const { out } = await run([...WGTS, 'show', device.name, '--json']);
    expect(JSON.parse(out)).toMatchObject({ name: device.name, listenPort: 51820, fwmark: 255, counters: null });
    expect(JSON.parse(out).peers[1]).toMatchObject({
      publicKey: KEY.a,
      hasPresharedKey: true,
      endpoint: '192.0.2.1:1',
      latestHandshake: 1_700_000_000,
    });
    expect(out).not.toContain(KEY.psk);
    expect(out).not.toContain(KEY.private);
    const { out: all } = await run([...WGTS, 'show', device.name, '--json'], { env: { WG_HIDE_KEYS: 'never' } });
    expect(all).toContain(KEY.psk);
    expect(all).toContain(KEY.private);
  });

  test('genkey makes clamped keys, genpsk unclamped; genkey warns of a world-readable file', async () => {
    for (const command of ['genkey', 'genpsk']) {
      const { out, err, status } = await run([...WGTS, command]);
      expect({ err, status }).toEqual({ err: '', status: 0 });
      const key = Buffer.from(out.trim(), 'base64');
      expect(key).toHaveLength(32);
      if (command === 'genkey') expect([key[0]! & 7, key[31]! & 0xc0]).toEqual([0, 0x40]);
    }
    const path = file('');
    const { err } = await run(['sh', '-c', `chmod 644 ${path}; exec "$0" "$@" >${path}`, ...WGTS, 'genkey']);
    expect(err).toMatch(/world accessible/);
  });

  test.each(['show', 'showconf', 'set', 'setconf', 'addconf', 'syncconf', 'genkey', 'genpsk', 'pubkey'])(
    '%s --help prints the help',
    async command => {
      expect(await run([...WGTS, command, '--help'])).toMatchObject({
        status: 0,
        err: '',
        out: expect.stringMatching(/^Usage: wgts /),
      });
    },
  );
});
