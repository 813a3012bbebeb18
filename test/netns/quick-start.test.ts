/**
 * Follows docs/en/quick-start.md as a reader does: its own commands, in its order, on two machines.
 * The expected result of each block is next to its name. Then it creates the fault of every row of
 * "If it does not work" and checks that the counter in that row grows.
 *
 * @module-tag slow
 */
import { execFileSync } from 'node:child_process';
import { cpSync, mkdirSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { guides, REPOSITORY } from '../support/guide.ts';
import { type Result, run, until } from './command.ts';
import { GuideMachine } from './guide-machine.ts';
import { keyPair, presharedKey } from './keys.ts';
import { Lab } from './lab.ts';
import { describeWith, NETWORK } from './needs.ts';

const GUIDE = guides('en').find(({ name }) => name === 'quick-start.md')!;
const SERVER_ADDRESS = '203.0.113.10';
const WIRE = 'look at the wire';

type Name = 'server' | 'laptop';
interface Check {
  readonly on: readonly Name[];
  readonly before?: () => Promise<unknown>;
  readonly after: (ran: Result, name: Name) => unknown;
}

const keys: Record<Name, string> = { server: '', laptop: '' };
const machines = {} as Record<Name, GuideMachine>;
let lab: Lab;
/** A copy of the working tree, which `npm ci` may change. */
let clone: string;

const CHECKS: Readonly<Record<string, Check>> = {
  'install from a clone': {
    on: ['server'],
    after: async () => {
      const { stdout } = await machines.laptop.shell('wgts --version; command -v wireguard-ts');
      expect(stdout).toMatch(/^wireguard-ts v[0-9.]+/);
      expect(stdout).toContain(join(lab.directory, 'prefix/bin/wireguard-ts'));
    },
  },
  'ask the doctor': {
    on: ['server', 'laptop'],
    after: ({ stdout }) => expect(stdout).toMatch(/^backend +auto takes (userspace|kernel)/m),
  },
  'make the keys': {
    on: ['server', 'laptop'],
    after: async ({ stdout }, name) => {
      keys[name] = stdout.trim();
      expect(keys[name]).toMatch(/^[A-Za-z0-9+/]{43}=$/);
      const { stdout: modes } = await machines[name].shell('stat -c %a /etc/wireguard /etc/wireguard/*');
      expect(modes).toBe('700\n600\n600\n');
    },
  },
  'write the file of the server': { on: ['server'], after: (_, name) => expectFile(name) },
  'write the file of the laptop': { on: ['laptop'], after: (_, name) => expectFile(name) },
  'open the port with nft': {
    on: ['server'],
    before: () =>
      machines.server.namespace.nft(
        'table inet filter { chain input { type filter hook input priority 0; policy drop; meta l4proto icmp accept; }; }',
      ),
    after: async () => {
      const { stdout } = await machines.server.shell('nft list chain inet filter input');
      expect(stdout).toContain('udp dport 51820 accept');
    },
  },
  'bring it up': {
    on: ['server', 'laptop'],
    after: ({ stderr }, name) => {
      const shown = GUIDE.text.match(/^\[#\] .*$/gm)!;
      expect(shown.length).toBeGreaterThan(3);
      const lines = stderr.trim().split('\n');
      const own = (line: string) =>
        line.replace('10.8.0.1/', name === 'laptop' ? '10.8.0.2/' : '10.8.0.1/').replace(/(WireGuard in ).*/, '$1');
      expect(lines.map(line => line.replace(/(WireGuard in ).*/, '$1'))).toEqual(shown.map(own));
    },
  },
  'ping through the tunnel': {
    on: ['laptop'],
    after: ({ stdout }) => {
      expect(stdout).toContain('3 received');
      const labels = (text: string) => text.match(/^ {2}[a-z ]+(?=:)/gm);
      // The output in the guide has the same lines as the real one.
      const shown = /```text\n(interface: wg0[\s\S]*?)```/.exec(GUIDE.text)![1]!;
      expect(labels(stdout)).toEqual(labels(shown));
    },
  },
  'count what was dropped': {
    on: ['server', 'laptop'],
    after: ({ stdout }) =>
      expect([...stdout.matchAll(/"(\w+)": 0/g)].map(([, name]) => name).sort()).toEqual(namedCounters().sort()),
  },
  'apply an edited file': {
    on: ['server'],
    before: () => machines.server.shell('sed -i "s/10.8.0.2.32/10.8.0.2\\/32, 10.8.0.7\\/32/" /etc/wireguard/wg0.conf'),
    after: async () => {
      const { stdout } = await machines.server.shell('wgts show wg0');
      expect(stdout).toContain('allowed ips: 10.8.0.2/32, 10.8.0.7/32');
      // The session did not change.
      expect(stdout).toContain('latest handshake');
      await machines.server.shell('sed -i "s/, 10.8.0.7.32//" /etc/wireguard/wg0.conf; wgts reload wg0');
    },
  },
  'show the log': { on: ['server'], after: ({ stdout }) => expect(stdout).toContain('interface up, UDP port 51820') },
  // Runs with the faults, because it needs traffic.
  'look at the wire': { on: [], after: () => {} },
};

/** The faults, by the name of the counter that reveals each. */
const FAULTS: Readonly<Record<string, { file: Name; tells: Name; edit: (text: string) => string }>> = {
  badMac1: { file: 'laptop', tells: 'server', edit: text => text.replace(keys.server, keyPair().publicKey) },
  unknownPeer: { file: 'server', tells: 'server', edit: text => text.replace(keys.laptop, keyPair().publicKey) },
  badHandshake: {
    file: 'laptop',
    tells: 'laptop',
    edit: text => text.replace('[Peer]', () => `[Peer]\nPresharedKey = ${presharedKey()}`),
  },
  sourceNotAllowed: { file: 'server', tells: 'server', edit: text => text.replace('10.8.0.2/32', '10.8.0.3/32') },
  noPeer: { file: 'laptop', tells: 'laptop', edit: text => text.replace('10.8.0.1/32', '10.8.0.3/32') },
};

describeWith([...NETWORK, 'nft', 'tcpdump', 'bash', 'unshare'], 'the quick start', () => {
  beforeAll(async () => {
    lab = new Lab();
    clone = join(lab.directory, 'clone');
    for (const file of execFileSync('git', ['ls-files', '-zco', '--exclude-standard'], {
      cwd: REPOSITORY,
      encoding: 'utf8',
    })
      .split('\0')
      .filter(Boolean)) {
      mkdirSync(dirname(join(clone, file)), { recursive: true });
      cpSync(join(REPOSITORY, file), join(clone, file), { verbatimSymlinks: true, force: true });
    }
    for (const name of ['server', 'laptop'] as const)
      machines[name] = await GuideMachine.start(lab, name, join(lab.directory, 'prefix/bin'));
    await lab.cable(machines.server.namespace, 'eth0', [`${SERVER_ADDRESS}/24`], machines.laptop.namespace, 'eth0', [
      '203.0.113.20/24',
    ]);
  });
  afterAll(() => lab?.close());

  const blocks = GUIDE.commands.filter(({ marker }) => marker?.kind === 'run');
  it.each(blocks.map(block => [block.marker!.says, block] as const))('%s', async (name, block) => {
    const { on, before, after } = CHECKS[name]!;
    await before?.();
    for (const machine of on) {
      const ran = await execute(name, machine, filledIn(block.text));
      expect({ code: ran.code, stderr: ran.code === 0 ? '' : ran.stderr }).toEqual({ code: 0, stderr: '' });
      await after(ran, machine);
    }
  });

  it('every check belongs to a block', () => {
    expect(blocks.map(({ marker }) => marker!.says).sort()).toEqual(Object.keys(CHECKS).sort());
  });

  describe('the table of faults', () => {
    it('lists these counters', () => {
      expect(Object.keys(FAULTS).sort()).toEqual(namedCounters().sort());
    });

    it.each(Object.entries(FAULTS))('%s', async (counter, { file, tells, edit }) => {
      const good = (await machines[file].shell('cat /etc/wireguard/wg0.conf')).stdout;
      expect(edit(good)).not.toBe(good);
      await machines[file].shell('cat > /etc/wireguard/wg0.conf', { input: edit(good) });
      await restart();
      await machines.laptop.shell('ping -c 1 -W 1 10.8.0.1');
      await until(`${counter} to grow`, async () => (await counters(tells))[counter] !== 0);
      // No other counter grows.
      expect({ ...(await counters(tells)), [counter]: 0 }).toEqual(zeroes());
      await machines[file].shell('cat > /etc/wireguard/wg0.conf', { input: good });
    });

    it('counts nothing when everything works', async () => {
      await restart();
      expect((await machines.laptop.shell('ping -c 1 -W 5 10.8.0.1')).stdout).toContain('1 received');
      for (const name of ['server', 'laptop'] as const) expect(await counters(name)).toEqual(zeroes());
    });

    it('counts nothing behind a closed port', async () => {
      await machines.server.namespace.nft('flush chain inet filter input');
      await restart();
      expect((await machines.laptop.shell('ping -c 1 -W 1 10.8.0.1')).code).toBe(1);
      expect(await counters('server')).toEqual(zeroes());
    });

    it(WIRE, async () => {
      // tcpdump sees packets before the firewall drops them.
      const { text } = blocks.find(({ marker }) => marker!.says === WIRE)!;
      const looking = machines.server.startShell(text);
      await until('tcpdump', () => looking.output().includes('listening on'));
      await machines.laptop.shell('ping -c 1 -W 1 10.8.0.1');
      const { code, stdout } = await looking.exited;
      expect({ code, line: stdout }).toEqual({ code: 0, line: expect.stringContaining(`${SERVER_ADDRESS}.51820`) });
    });
  });
});

function execute(name: string, machine: Name, text: string): Promise<Result> {
  if (name !== 'install from a clone') return machines[machine].shell(text);
  // Runs on the host, which has the network that npm needs; into a prefix of this lab's own.
  const env = { npm_config_prefix: join(lab.directory, 'prefix'), npm_config_prefer_offline: 'true' };
  return run(['bash', '--norc', '-euo', 'pipefail', '-c', text], { cwd: clone, env, mayFail: true, timeout: 580_000 });
}

function filledIn(text: string): string {
  return text.replaceAll('LAPTOP_PUBLIC_KEY', keys.laptop).replaceAll('SERVER_PUBLIC_KEY', keys.server);
}

async function expectFile(name: Name): Promise<void> {
  const { stdout } = await machines[name].shell('stat -c %a /etc/wireguard/wg0.conf; wgts strip wg0');
  expect(stdout).toMatch(/^600\n/);
  expect(stdout).toContain(`PublicKey = ${keys[name === 'server' ? 'laptop' : 'server']}`);
  expect(stdout).toMatch(/PrivateKey = [A-Za-z0-9+/]{43}=/);
}

/**
 * Restarts both, so neither keeps a session that the other has forgotten. Counters start at zero.
 */
async function restart(): Promise<void> {
  for (const machine of [machines.server, machines.laptop]) {
    const { code, stderr } = await machine.shell('wgts down wg0; wgts up wg0');
    expect(code, stderr).toBe(0);
  }
}

/**
 * Returns the counters that the guide names. According to the guide the kernel's device has none.
 */
async function counters(name: Name): Promise<Record<string, number>> {
  const { stdout } = await machines[name].shell('wgts show wg0 --json');
  const { counters: all } = JSON.parse(stdout) as { counters: Record<string, number> };
  return Object.fromEntries(namedCounters().map(counter => [counter, all[counter]!]));
}

function zeroes(): Record<string, number> {
  return Object.fromEntries(namedCounters().map(counter => [counter, 0]));
}

/** Returns the counters in the first column of the guide's table. */
function namedCounters(): string[] {
  const rows = GUIDE.text.split('\n').filter(line => /^\| (server|laptop):/.test(line));
  return rows.flatMap(row => /^\| (?:server|laptop): `(\w+)`/.exec(row)?.[1] ?? []);
}
