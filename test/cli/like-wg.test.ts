/** wgts against the real wg: the same input to both, and the same output, exit status and requests to the device must come. */
import { spawn } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, beforeEach, expect, test } from 'vitest';
import { describeWith } from '../netns/needs.ts';
import { FakeDevice } from '../support/fake-device.ts';

const WGTS = [process.execPath, fileURLToPath(new URL('../../dist/cli/wgts.js', import.meta.url))];
const WG = ['wg'];
const KEY = {
  private: 'qqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqo=',
  a: 'EhISEhISEhISEhISEhISEhISEhISEhISEhISEhISEhI=',
  b: 'NDQ0NDQ0NDQ0NDQ0NDQ0NDQ0NDQ0NDQ0NDQ0NDQ0NDQ=',
  psk: '7+/v7+/v7+/v7+/v7+/v7+/v7+/v7+/v7+/v7+/v7+8=',
};
const hex = (key: string) => Buffer.from(key, 'base64').toString('hex');

const peer = (key: string, ...lines: string[]) =>
  [`public_key=${hex(key)}`, ...lines].map(line => `${line}\n`).join('');
const handshake = (seconds: number) => [`last_handshake_time_sec=${seconds}`, 'last_handshake_time_nsec=7'];
const STATUS: Readonly<Record<string, string>> = {
  nothing: '',
  'a key alone': `private_key=${hex(KEY.private)}\n`,
  'a port and a mark': 'listen_port=51820\nfwmark=4294967295\n',
  'one peer': `private_key=${hex(KEY.private)}\nlisten_port=1\n${peer(KEY.a)}`,
  'all of it': `private_key=${hex(KEY.private)}\nlisten_port=51820\nfwmark=255\n${peer(
    KEY.b,
    `preshared_key=${'0'.repeat(64)}`,
    'protocol_version=1',
    'endpoint=[2001:db8::1]:4242',
    ...handshake(0).slice(0, 1),
    'last_handshake_time_nsec=0',
    'tx_bytes=1023',
    'rx_bytes=0',
    'persistent_keepalive_interval=0',
    'allowed_ip=0.0.0.0/0',
    'allowed_ip=::/0',
  )}${peer(KEY.a, `preshared_key=${hex(KEY.psk)}`, 'endpoint=192.0.2.1:1', ...handshake(1_700_000_000), 'tx_bytes=123456789', 'rx_bytes=1099511627776123', 'persistent_keepalive_interval=3661', 'allowed_ip=10.0.0.0/8', 'allowed_ip=fd00::/8')}`,
};
const FIELDS =
  'public-key private-key listen-port fwmark peers preshared-keys endpoints allowed-ips latest-handshakes transfer persistent-keepalive dump'.split(
    ' ',
  );

const CONFS: Readonly<Record<string, string>> = {
  empty: '',
  'an empty interface': '[Interface]\n',
  everything: `[Interface]\nPrivateKey = ${KEY.private}\nListenPort = 51820\nFwMark = 0xff\n[Peer]\nPublicKey=${KEY.a}\nPresharedKey=${KEY.psk}\nAllowedIPs = 10.0.0.0/8, fd00::/8\nEndpoint = 192.0.2.1:4242\nPersistentKeepalive = 25\n`,
  'spaces, case and comments': `  [ interface ]# yes\n\tLISTENPORT\t=\t7 # really\n#[Peer]\n[PEER]\npublickey= ${KEY.a.slice(0, 20)} ${KEY.a.slice(20)}\r\nallowedips=10.1.2.3/8,::1,1.2.3.4\n`,
  'two peers, allowed IPs on two lines': `[Interface]\n[Peer]\nPublicKey=${KEY.a}\nAllowedIPs=10.0.0.0/8\nAllowedIPs=10.1.0.0/16\n[Peer]\nPublicKey=${KEY.b}\nPersistentKeepalive=off\n`,
  'off and zero': `[Interface]\nFwMark=off\nListenPort=0\n[Peer]\nPublicKey=${KEY.a}\nPersistentKeepalive=0\nEndpoint=[::1]:1\n`,
};

const WRONG: Readonly<Record<string, string>> = {
  'no section': 'ListenPort = 1\n',
  'an unknown section': '[Server]\n',
  'an unknown key of the interface': '[Interface]\nAddress = 10.0.0.1/24\n',
  'an unknown key of a peer': `[Peer]\nPublicKey=${KEY.a}\nListenPort=1\n`,
  'no equals sign': '[Interface]\nListenPort 1\n',
  'a port that is none': '[Interface]\nListenPort = many\n',
  'a mark that is none': '[Interface]\nFwMark = red\n',
  'a key too short': '[Interface]\nPrivateKey = aaaa\n',
  'a key with a wrong last character': `[Interface]\nPrivateKey = ${KEY.private.slice(0, 42)}p=\n`,
  'a peer without key': '[Peer]\nAllowedIPs = 10.0.0.0/8\n',
  'a public key that is none': '[Peer]\nPublicKey = me\n',
  'a preshared key that is none': `[Peer]\nPublicKey=${KEY.a}\nPresharedKey = secret\n`,
  'an allowed IP that is none': `[Peer]\nPublicKey=${KEY.a}\nAllowedIPs = 10.0.0.0/33\n`,
  'an allowed IPv6 that is none': `[Peer]\nPublicKey=${KEY.a}\nAllowedIPs = fd00::/129\n`,
  'an endpoint without port': `[Peer]\nPublicKey=${KEY.a}\nEndpoint = 192.0.2.1\n`,
  'an endpoint without end': `[Peer]\nPublicKey=${KEY.a}\nEndpoint = [::1\n`,
  'a keepalive that is none': `[Peer]\nPublicKey=${KEY.a}\nPersistentKeepalive = often\n`,
  'a keepalive too long': `[Peer]\nPublicKey=${KEY.a}\nPersistentKeepalive = 65536\n`,
};
/** What wg takes, against its own manual, and we do not: numbers that it cuts to 16 bits. */
const WRONGER: Readonly<Record<string, string>> = { 'a port too large': '[Interface]\nListenPort = 70000\n' };

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

  test.each(Object.keys(STATUS))('show, every field of it, and showconf: %s', async name => {
    device.status = STATUS[name]!;
    for (const args of [['showconf'], ...FIELDS.map(field => ['show', field])]) {
      const [command, ...field] = args as [string, ...string[]];
      const { wg, wgts } = await both([command, device.name, ...field]);
      expect(wgts, args.join(' ')).toEqual(wg);
    }
    for (const env of [{}, { WG_HIDE_KEYS: 'never' }, { WG_COLOR_MODE: 'always' }]) {
      const { wg, wgts } = await both(['show', device.name], { env });
      // a second may have passed between the two
      const still = (text: string) => text.replace(/^.*latest handshake.*$/gm, '');
      expect(still(wgts.out)).toBe(still(wg.out));
      expect(wgts.status).toBe(wg.status);
    }
  });

  test('show all and show interfaces name the device', async () => {
    device.status = STATUS['all of it']!;
    for (const field of FIELDS) {
      const { wg, wgts } = await both(['show', 'all', field]);
      const ours = (text: string) => text.split('\n').filter(line => line.startsWith(`${device.name}\t`));
      // wg forgets the interface's name on every line of the endpoints but the first
      if (field === 'endpoints') expect(ours(wgts.out)).toHaveLength(2);
      else expect(ours(wgts.out)).toEqual(ours(wg.out));
      expect(ours(wgts.out).length).toBeGreaterThan(0);
    }
    const { wgts } = await both(['show', 'interfaces']);
    expect(wgts.out.trim().split(' ')).toContain(device.name);
  });

  test.each(Object.keys(CONFS))('setconf and addconf say the same to the device: %s', async name => {
    for (const command of ['setconf', 'addconf']) {
      const { wg, wgts } = await both([command, device.name, file(CONFS[name]!)]);
      expect(wg.status).toBe(0);
      expect(wgts).toEqual(wg);
    }
  });

  test('syncconf removes the peers that are not in the file, and says of the others only what is new', async () => {
    device.status = STATUS['all of it']!;
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
  ])('set %s %s %s %s %s', async (...words) => {
    const { wg, wgts } = await both(['set', device.name, ...words.filter(word => word !== undefined)]);
    expect(wg.status).toBe(0);
    expect(wgts).toEqual(wg);
  });

  test('keys from files and from standard input', async () => {
    for (const words of [
      ['private-key', file(`${KEY.private}\n`)],
      ['peer', KEY.a, 'preshared-key', file(KEY.psk)],
    ]) {
      const { wg, wgts } = await both(['set', device.name, ...words]);
      expect(wgts).toEqual(wg);
      expect(wgts.requests).toHaveLength(1);
    }
    // where standard input is a socket, as here, wg cannot open it again; wgts can
    const { wg, wgts } = await both(['set', device.name, 'private-key', '/dev/stdin'], { input: `${KEY.private}\n` });
    expect(wg.status).toBe(1);
    expect(wgts).toMatchObject({ status: 0, requests: [[`set=1\nprivate_key=${hex(KEY.private)}`]] });
    const { wg: key, wgts: ours } = await both(['pubkey'], { input: `${KEY.private}\n` });
    expect(ours).toEqual(key);
  });

  test.each([...Object.entries(WRONG), ...Object.entries(WRONGER)])(
    'a file with %s: refused, the file and its line named, nothing said to the device',
    async (name, conf) => {
      const path = file(conf);
      const { wg, wgts } = await both(['setconf', device.name, path]);
      if (!(name in WRONGER)) expect(wg.status).toBe(1);
      expect(wgts).toMatchObject({ status: 1, out: '', requests: [] });
      expect(wgts.err).toMatch(new RegExp(`^wgts: ${path}:${name === 'a peer without key' ? 1 : '[0-9]+'}: .{20,}\n$`));
      // a secret is never repeated
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
  ])('set %j is refused, and nothing is said to the device', async words => {
    const { wg, wgts } = await both(['set', device.name, ...words]);
    expect(wg.status).toBe(1);
    expect(wgts).toMatchObject({ status: 1, out: '', requests: [] });
    expect(wgts.err.length).toBeGreaterThan(20);
  });

  test('what the device refuses is told, with status 1', async () => {
    device.setErrno = -98;
    const { wg, wgts } = await both(['set', device.name, 'listen-port', '1']);
    expect(wg.status).toBe(1);
    expect(wgts.status).toBe(1);
    expect(wgts.err).toMatch(/^wgts: .*98.*\n$/);
  });

  test('an interface that is not there', async () => {
    const { status, err } = await run([...WGTS, 'show', 'nowhere0']);
    expect(status).toBe(1);
    expect(err).toMatch(/no userspace interface `nowhere0'/);
  });

  test('--json has all of it, without secrets unless they are asked for', async () => {
    device.status = STATUS['all of it']!;
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

  test('genkey makes clamped keys, genpsk any; both warn of a file that the world may read', async () => {
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
    '%s --help',
    async command => {
      expect(await run([...WGTS, command, '--help'])).toMatchObject({
        status: 0,
        err: '',
        out: expect.stringMatching(/^Usage: wgts /),
      });
    },
  );
});

/** Two clients may say the same in another order of lines within a section; a zero key may be said or not. */
function normal(request: string): string[] {
  return request
    .trimEnd()
    .split(/\n(?=public_key=)/)
    .map(section => {
      // the device takes host bits away; wgts does so before
      const [first, ...lines] = section.replace('allowed_ip=10.1.2.3/8', 'allowed_ip=10.0.0.0/8').split('\n');
      return [first, ...lines.sort()].join('\n');
    });
}

interface Options {
  readonly env?: Readonly<Record<string, string>>;
  readonly input?: string;
}

function run(
  [program, ...args]: readonly string[],
  { env = {}, input = '' }: Options = {},
): Promise<{ status: number | null; out: string; err: string }> {
  return new Promise((resolve, reject) => {
    const child = spawn(program!, args, { env: { ...process.env, ...env } });
    let [out, err] = ['', ''];
    child.stdout.setEncoding('utf8').on('data', chunk => {
      out += chunk;
    });
    child.stderr.setEncoding('utf8').on('data', chunk => {
      err += chunk;
    });
    child.on('error', reject);
    child.on('close', status => resolve({ status, out, err }));
    child.stdin.on('error', () => {}).end(input);
  });
}
