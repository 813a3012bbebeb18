/**
 * Wrong command lines, as people type them, each with the complete first line of the answer. A
 * first-time reader must understand from it what was wrong.
 */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { describeWith } from '../netns/needs.ts';
import { FakeDevice } from '../support/fake-device.ts';
import { OWN_RUN, run } from './run-program.ts';
import { programFile, type Ran, type RanWith, runProgramAsync } from './run-wgts.ts';
import { KEY } from './wg-cases.ts';

type Case = readonly [args: readonly string[], firstLine: string, options?: RanWith];

const LONG = 'averyverylonginterfacename';
const TOO_LONG = `\`${LONG}' is too long for an interface name: 26 bytes, and Linux allows 15`;
const PEER = ['set', 'wg0', 'peer', KEY.a];
const KEY_FORM = 'a key is 44 characters of base64 that end in "="';
const PORT_FORM = 'a port is a number from 0 to 65535, where 0 lets the system choose';
const IPS_FORM =
  'write addresses, or prefixes such as 10.0.0.0/8 or fd00::/8, with commas (not only spaces) between them';
const folder = mkdtempSync(join(tmpdir(), 'wgts-wrong-'));
const file = (name: string) => join(folder, name);

/** Exit status 1, like wg. */
const WG_LINES: readonly Case[] = [
  [['show', ''], 'wgts show: the argument INTERFACE is empty'],
  [['show', LONG], `wgts show: ${TOO_LONG}`],
  [['show', 'a/b'], "wgts show: `a/b' cannot be an interface name: it may not contain a slash, a colon or a space"],
  [['show', 'wg0', 'peer'], "wgts show: there is no field `peer'; did you mean `peers'?"],
  [['show', 'wg0', 'mtu'], "wgts show: there is no field `mtu'"],
  [['show', 'interfaces', 'peers'], "wgts show: unexpected argument `peers': nothing may follow `interfaces'"],
  [['show', '--jsn'], "wgts show: unknown option `--jsn'; did you mean `--json'?"],
  [['show', '--json', 'wg0', 'peers'], "wgts show: --json shows all fields: leave `peers' out"],
  [['showconf'], 'wgts showconf: the argument INTERFACE is missing'],
  [['showconf', 'wg0', 'x'], "wgts showconf: unexpected argument `x': nothing may follow `wg0'"],
  [['setconf', 'wg0'], 'wgts setconf: the argument FILE is missing'],
  [['setconf', 'wg0', ''], 'wgts setconf: the argument FILE is empty'],
  [
    ['setconf', 'wg0', '/no/file'],
    'wgts: /no/file: the configuration cannot be read: no such file or directory (ENOENT)',
  ],
  [
    ['addconf', 'wg0', '/etc'],
    'wgts: /etc: the configuration cannot be read: illegal operation on a directory (EISDIR)',
  ],
  [
    ['syncconf', 'wg0', file('junk')],
    `wgts: ${file('junk')}:1: \`garbage' comes before any section: begin with [Interface] or [Peer]`,
  ],
  [['set'], 'wgts set: the argument INTERFACE is missing'],
  [['set', 'wg0'], 'wgts set: nothing to set: add a setting, such as: listen-port 51820'],
  [['set', 'wg0', 'listen-prot', '1'], "wgts set: there is no setting `listen-prot'; did you mean `listen-port'?"],
  [['set', 'wg0', 'listen-port'], "wgts set: `listen-port' needs a value after it"],
  [['set', 'wg0', 'listen-port', '70000'], `wgts: listen port \`70000': ${PORT_FORM}`],
  [['set', 'wg0', 'listen-port', '-1'], `wgts: listen port \`-1': ${PORT_FORM}`],
  [['set', 'wg0', 'listen-port', ''], `wgts: listen port \`': ${PORT_FORM}`],
  [['set', 'wg0', 'listen-port', '\x1b[31mred'], `wgts: listen port \`\\x1b[31mred': ${PORT_FORM}`],
  [
    ['set', 'wg0', 'listen-port', 'x'.repeat(100_000)],
    `wgts: listen port a text of 100000 characters with what looks like a key: ${PORT_FORM}`,
  ],
  [['set', 'wg0', 'listen-port', '%'.repeat(100_000)], `wgts: listen port \`${'%'.repeat(64)}...': ${PORT_FORM}`],
  [['set', 'wg0', 'listen-port', '端口'], `wgts: listen port \`端口': ${PORT_FORM}`],
  [
    ['set', 'wg0', 'fwmark', 'red'],
    'wgts: fwmark `red\': a mark is "off", or a number up to 4294967295, also as 0x...',
  ],
  [
    ['set', 'wg0', 'private-key', '/no/file'],
    'wgts: /no/file: private-key cannot be read: no such file or directory (ENOENT)',
  ],
  [
    ['set', 'wg0', 'private-key', file('junk')],
    `wgts: ${file('junk')}: private-key of 7 characters is not a key: ${KEY_FORM}`,
  ],
  [['set', 'wg0', 'peer', 'short'], `wgts: the public key \`short' is not a key: ${KEY_FORM}`],
  [['set', 'wg0', 'peer'], "wgts set: `peer' needs a value after it"],
  [
    ['set', 'wg0', 'allowed-ips', '::/0'],
    "wgts set: `allowed-ips' is a setting of a peer: write peer and its public key before it",
  ],
  [['set', 'wg0', 'mtu', '0'], "wgts set: there is no setting `mtu'"],
  [
    [...PEER, 'listen-port', '1'],
    "wgts set: `listen-port' is a setting of the interface: write it before the first peer",
  ],
  [[...PEER, 'allowed-ips', '10.0.0.0/33'], `wgts: allowed IP \`10.0.0.0/33': ${IPS_FORM}`],
  [
    [...PEER, 'persistent-keepalive', '-1'],
    'wgts: persistent keepalive interval `-1\': it is "off", or a number of seconds from 0 to 65535',
  ],
  [[...PEER, 'keepalive', '25'], "wgts set: there is no setting `keepalive'"],
  [
    [...PEER, 'endpoint', '1.2.3.4'],
    "wgts: endpoint `1.2.3.4': it has no port: write address:port, [address]:port for IPv6, or name:port, such as 192.0.2.1:51820",
  ],
  [[...PEER, 'alowed-ips', '::/0'], "wgts set: there is no setting `alowed-ips'; did you mean `allowed-ips'?"],
  [['genkey', 'x'], "wgts genkey: unexpected argument `x': this command takes none"],
  [['genpsk', '--force'], "wgts genpsk: unexpected option `--force': this command takes none"],
  [['pubkey', 'private.key'], "wgts pubkey: unexpected argument `private.key': this command takes none"],
  [['pubkey'], 'wgts: standard input is empty: give it a private key, as in: wgts pubkey < private.key'],
  [
    ['pubkey'],
    `wgts: the private key on standard input of 7 characters is not a key: ${KEY_FORM}`,
    { input: 'garbage\n' },
  ],
];

/** Exit status 2. */
const OWN_LINES: readonly Case[] = [
  [['shwo'], "wgts: there is no command `shwo'; did you mean `show'?"],
  [['Up', 'wg0'], "wgts: there is no command `Up'; did you mean `up'?"],
  [['start', 'wg0'], "wgts: there is no command `start'"],
  [[''], 'wgts: the command is empty'],
  [['--verison'], "wgts: unknown option `--verison'; did you mean `--version'?"],
  [['--', 'show'], "wgts: unknown option `--'"],
  [['\x1b]0;title\x07'], "wgts: there is no command `\\x1b]0;title\\x07'"],
  [['\u202egnirts'], "wgts: there is no command `\\x202egnirts'"],
  [['显示'], "wgts: there is no command `显示'"],
  [["it's `quoted`"], "wgts: there is no command `it's `quoted`'"],
  [['%'.repeat(100_000)], `wgts: there is no command \`${'%'.repeat(64)}...'`],
  [['help', 'nonsense'], "wgts help: there is no command `nonsense'"],
  [['help', 'verfy'], "wgts help: there is no command `verfy'; did you mean `verify'?"],
  [['help', 'up', 'down'], "wgts help: unexpected argument `down': nothing may follow `up'"],
  [['--version', 'up'], "wgts: unexpected argument `up': nothing may follow `--version'"],
  [['up'], 'wgts up: the argument CONFIG is missing'],
  [['up', ''], 'wgts up: the argument CONFIG is empty'],
  [['up', 'wg0', 'wg1'], "wgts up: unexpected argument `wg1': nothing may follow `wg0'"],
  [['up', '--wach', 'wg0'], "wgts up: unknown option `--wach'; did you mean `--watch'?"],
  [['up', 'wg0', '-w'], "wgts up: unknown option `-w'"],
  [['up', '--backend'], 'wgts up: option --backend needs a value: --backend NAME'],
  [['up', '--backend', '--watch', 'wg0'], 'wgts up: option --backend needs a value: --backend NAME'],
  [['up', '--backend=', 'wg0'], 'wgts up: option --backend has an empty value: give it a NAME, or leave it out'],
  [['up', '--backend=kernle', 'wg0'], "wgts up: option --backend cannot be `kernle'; did you mean `kernel'?"],
  [['up', '--watch=yes', 'wg0'], "wgts up: option --watch takes no value, but has `yes'"],
  [['up', 'wg0'], "wgts up: $WGTS_BACKEND cannot be `boringtun'", { env: { WGTS_BACKEND: 'boringtun' } }],
  [['down'], 'wgts down: the argument CONFIG is missing'],
  [['save', 'wg0', '--force'], "wgts save: unknown option `--force'"],
  [['strip', 'a', 'b'], "wgts strip: unexpected argument `b': nothing may follow `a'"],
  [['calico', 'node1'], "wgts calico: unexpected argument `node1': this command takes no arguments"],
  [['calico', '--nod', 'a'], "wgts calico: unknown option `--nod'; did you mean `--node'?"],
  [['calico', '--node'], 'wgts calico: option --node needs a value: --node NAME'],
  [
    ['calico', '--node', 'a', '--node', 'b'],
    "wgts calico: option --node is given twice, as `a' and as `b'; give it once",
  ],
  [
    ['calico', '--node', 'A_B'],
    "wgts calico: --node `A_B': not the name of a Node (lower-case letters, digits, - and .); name it with --node NAME",
  ],
  [
    ['calico', '--backend', 'kernel'],
    "wgts calico: --backend `kernel': nodes whose kernel has WireGuard are left to Felix; use userspace, or add --take-over",
  ],
  [
    ['calico', '--node=a', '--table', 'main'],
    "wgts calico: --table `main': it must be a number, such as 1000 or 0x3e8",
  ],
  [
    ['calico', '--node=a', '--mark', '0'],
    'wgts calico: mark 0 cannot be used: choose one from 1 to 0xffffffff whose bits no other program uses',
  ],
  [
    ['calico', '--node=a', '--http', 'h:70000'],
    "wgts calico: --http `h:70000': write HOST:PORT, [ADDRESS]:PORT or off",
  ],
  [
    ['calico', '--kubeconfig', 'a', '--cluster-from', 'b', '--node=a'],
    'wgts calico: --kubeconfig and --cluster-from exclude each other: give one of them',
  ],
  [
    ['calico', '--node=a'],
    "wgts calico: $USE_POD_CIDR `maybe': it must be true or false",
    { env: { USE_POD_CIDR: 'maybe' } },
  ],
  [
    ['calico', 'install', '--without', 'metric'],
    "wgts calico install: --without cannot be `metric'; did you mean `metrics'?",
  ],
  [
    ['calico', 'install', '--with', 'metrics,always', '--without', 'always'],
    'wgts calico install: --with and --without both name always: give it to one of them',
  ],
  [['verify', '--all', '--json'], 'wgts verify: --json prints each pair anyway: leave --all out'],
  [['verify', 'node1'], "wgts verify: unexpected argument `node1': this command takes no arguments"],
  [['doctor', '--lable'], "wgts doctor: unknown option `--lable'; did you mean `--label'?"],
  [['doctor', '--once'], 'wgts doctor: option --once needs --label, which labels a Node'],
  [['doctor', '--label', '--json'], 'wgts doctor: --json is for the report: leave it out, or leave --label out'],
  [['completion'], 'wgts completion: the argument SHELL is missing'],
  [['completion', 'powershell'], "wgts completion: the argument SHELL cannot be `powershell'"],
  [['completion', 'bsh'], "wgts completion: the argument SHELL cannot be `bsh'; did you mean `bash'?"],
];

/** Exit status 1, like wireguard-go. */
const DAEMON_LINES: readonly Case[] = [
  [[], 'wireguard-ts: the argument INTERFACE is missing'],
  [[''], 'wireguard-ts: the argument INTERFACE is empty'],
  [['a', 'b'], "wireguard-ts: unexpected argument `b': nothing may follow `a'"],
  [[LONG], `wireguard-ts: ${TOO_LONG}`],
  [['a:b'], "wireguard-ts: `a:b' cannot be an interface name: it may not contain a slash, a colon or a space"],
  [['-v'], "wireguard-ts: unknown option `-v'"],
  [['--forground', 'wg0'], "wireguard-ts: unknown option `--forground'; did you mean `--foreground'?"],
  [['--backend', 'wg0'], "wireguard-ts: option --backend cannot be `wg0'"],
  [['--aead=openssll', 'wg0'], "wireguard-ts: option --aead cannot be `openssll'; did you mean `openssl'?"],
  [
    ['wg0'],
    "wireguard-ts: $WG_TUN_FD is `x': it must be the number of an open descriptor, or unset",
    { env: { WG_TUN_FD: 'x' } },
  ],
  [
    ['wg0'],
    "wireguard-ts: $WG_UAPI_FD is `-1': it must be the number of an open descriptor, or unset",
    { env: { WG_UAPI_FD: '-1' } },
  ],
  [['wg0'], "wireguard-ts: $WGTS_BACKEND cannot be `foo'", { env: { WGTS_BACKEND: 'foo' } }],
  [['wg0'], "wireguard-ts: $WGTS_AEAD cannot be `aes'", { env: { WGTS_AEAD: 'aes' } }],
];

writeFileSync(file('junk'), 'garbage');
afterAll(() => rmSync(folder, { recursive: true }));

describe.each([
  ['wgts, with the words of wg', 'wgts', 1, WG_LINES],
  ['wgts', 'wgts', 2, OWN_LINES],
  ['wireguard-ts', 'wireguard-ts', 1, DAEMON_LINES],
] as const)('%s', (_, program, status, cases) => {
  const answers: Ran[] = [];
  beforeAll(async () => {
    const all = cases.map(([args, , options], i) => async () => {
      answers[i] = await runProgramAsync(program, args, options);
    });
    // Two at a time: each is one short process.
    const work = async () => {
      for (let next = all.shift(); next; next = all.shift()) await next();
    };
    await Promise.all([work(), work()]);
  });

  test.each(cases.map(([args, line], i) => [args.map(arg => arg.slice(0, 40)), line, i] as const))(
    '%j',
    (_args, line, i) => {
      const { out, err, ...ended } = answers[i]!;
      expect([err.split('\n')[0], out]).toEqual([line, '']);
      // Problems with a file or value, which a program finds later, are failures with status 1, not
      // usage errors.
      expect(ended.status).toBe(line.startsWith(`${program}: /`) ? 1 : status);
      expect(err.length).toBeLessThan(1000);
      expect(err.replaceAll('\n', '')).not.toMatch(/[\p{Cc}\p{Cf}]/u);
      if (/^\S+ [a-z]+:/.test(line)) expect(err).toMatch(/\nFor help: \S.*\n$/);
    },
  );
});

describeWith(['root', 'unshare'], 'interface names', () => {
  const device = new FakeDevice(`quux${process.pid}`);
  beforeAll(() => device.open());
  afterAll(() => device.close());
  const wgts = programFile('wgts');

  test('without any interface: says so', async () => {
    expect(await run([...OWN_RUN, 'unshare', '-n', wgts, 'show', 'wg9'])).toEqual({
      status: 1,
      out: '',
      err: "wgts: there is no interface `wg9' (nor is there /var/run/wireguard/wg9.sock); there are no WireGuard interfaces here\n",
    });
  });

  test('suggests an interface with a similar name', async () => {
    for (const args of [['show'], ['showconf'], ['set', 'listen-port', '1']]) {
      const [command, ...rest] = args as [string, ...string[]];
      const { status, err } = await run([wgts, command, `${device.name}x`.slice(1), ...rest]);
      expect(status).toBe(1);
      expect(err).toContain(`; did you mean \`${device.name}'?\n`);
    }
  });

  test('names the missing capability when not root', async () => {
    // A user namespace of its own drops all rights, while the files stay readable wherever they
    // are.
    const { status, err } = await run(['unshare', '-U', programFile('wireguard-ts'), '-f', `${device.name}n`]);
    expect(status).toBe(1);
    expect(err).toMatch(/^wireguard-ts: .*root or CAP_NET_ADMIN is needed.*\n$/);
  });
});
