/**
 * `wgts reload` reports the differences, changes only those, and keeps the sessions of unchanged
 * peers.
 *
 * @module-tag slow
 */
import { rmSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, it } from 'vitest';
import { SOCKET_DIRECTORY } from './device.ts';
import { keyPair, presharedKey } from './keys.ts';
import { Lab, type Namespace } from './lab.ts';
import { describeWith, NETWORK } from './needs.ts';
import { WGTS } from './quick-host.ts';

const [OURS, THEIRS, OTHER] = [keyPair(), keyPair(), keyPair()];
let lab: Lab;
let near: Namespace;
let name: string;
let path: string;

beforeEach(async () => {
  lab = new Lab();
  const far = await lab.namespace('far');
  near = await lab.namespace('near');
  await lab.cable(near, 'eth0', ['192.0.2.1/24'], far, 'eth0', ['192.0.2.2/24']);
  name = lab.interfaceName();
  const farName = lab.interfaceName();
  for (const [each, { name: namespace }] of [
    [name, near],
    [farName, far],
  ] as const) {
    lab.owns(join(SOCKET_DIRECTORY, `${each}.sock`));
    lab.owns(`/run/wireguard-ts/${each}.${statSync(`/var/run/netns/${namespace}`).ino}.json`);
  }
  const there = `[Interface]\nAddress = 10.9.0.2/24\nPrivateKey = ${THEIRS.privateKey}\nListenPort = 7\n[Peer]\nPublicKey = ${OURS.publicKey}\nAllowedIPs = 10.9.0.0/24\n`;
  await far.run([...WGTS, 'up', lab.file(there, `${farName}.conf`)]);
  write();
  const upped = await wgts('up');
  expect(upped.code, upped.stderr).toBe(0);
  await near.run(['ping', '-c1', '-W5', '10.9.0.2']);
});
afterEach(() => lab?.close());

/**
 * Writes the file. @param own lines of [Interface], @param peer lines of the peer's section, @param
 * more text after it
 */
function write(own = 'Address = 10.9.0.1/24\nMTU = 1400', peer = 'AllowedIPs = 10.9.0.2/32', more = ''): void {
  if (path) rmSync(path, { force: true });
  path = lab.file(
    `[Interface]\nPrivateKey = ${OURS.privateKey}\n${own}\n[Peer]\nPublicKey = ${THEIRS.publicKey}\nEndpoint = 192.0.2.2:7\n${peer}\n${more}`,
    `${name}.conf`,
  );
}

const wgts = (...args: readonly string[]) => near.run([...WGTS, ...args, path], { mayFail: true });
const handshake = async () => (await near.run(['wg', 'show', name, 'latest-handshakes'])).stdout;
const received = async () =>
  Number((await near.run(['wg', 'show', name, 'transfer'])).stdout.split('\n')[0]!.split('\t')[1]);

describeWith(NETWORK, 'wgts reload', () => {
  it('changes nothing without a difference, and up reports the same', async () => {
    const done = await wgts('reload');
    expect([done.code, done.stdout, done.stderr]).toEqual([0, `nothing to do: ${name} matches ${path}\n`, '']);
    const upped = await wgts('up');
    expect([upped.code, upped.stderr]).toEqual([1, `wgts: \`${name}' already exists, and matches its file\n`]);
  });

  it('applies every change of an edited file and keeps the session', async () => {
    const before = await handshake();
    expect(before).toMatch(/\t[1-9]/);
    const psk = presharedKey();
    write(
      'Address = 10.9.0.1/24, 10.8.0.1/24\nMTU = 1380\nListenPort = 4321\nTable = 77\nFwMark = 0x55',
      'AllowedIPs = 10.9.0.2/32, 10.7.0.0/16\nPersistentKeepalive = 25',
      `[Peer]\nPublicKey = ${OTHER.publicKey}\nPresharedKey = ${psk}\nAllowedIPs = 10.6.0.0/16\n`,
    );
    const short = (key: string) => key.slice(0, 8);
    const lines = [
      /^ListenPort [0-9]+ -> 4321$/m,
      /^FwMark off -> 0x55$/m,
      `peer ${short(THEIRS.publicKey)}...: PersistentKeepalive off -> 25, AllowedIPs +10.7.0.0/16\n`,
      `peer ${short(OTHER.publicKey)}...: added, PresharedKey set, AllowedIPs +10.6.0.0/16\n`,
      'address 10.8.0.1/24\n',
      'MTU 1400 -> 1380\n',
      'route 10.7.0.0/16 table 77\n',
    ];
    const upped = await wgts('up');
    expect(upped.code).toBe(1);
    expect(upped.stderr).toContain(`differs from ${path}: MTU 1400 -> 1380\n`);
    expect(upped.stderr).toContain(`\`wgts reload ${name}' changes only what differs`);
    const dry = await wgts('reload', '--dry-run');
    const done = await wgts('reload');
    expect(done.code, done.stderr).toBe(0);
    expect(done.stdout).toBe(dry.stdout);
    for (const line of lines) expect(done.stdout).toMatch(line);
    for (const text of [done.stdout, done.stderr, upped.stderr, dry.stderr])
      for (const secret of [OURS.privateKey, psk]) expect(text).not.toContain(secret);
    expect((await near.run(['ip', 'addr', 'show', 'dev', name])).stdout).toMatch(/mtu 1380[\s\S]*10\.8\.0\.1\/24/);
    expect((await near.run(['ip', 'route', 'show', 'table', '77'])).stdout).toContain(`10.7.0.0/16 dev ${name}`);
    expect((await near.run(['wg', 'show', name, 'peers'])).stdout).toContain(OTHER.publicKey);
    // The same session as before, which still carries packets.
    const count = await received();
    expect(await handshake()).toContain(before.trim());
    await near.run(['ping', '-c1', '-W5', '10.9.0.2', '-I', name]);
    expect(await handshake()).toContain(before.trim());
    expect(await received()).toBeGreaterThan(count);
    expect((await wgts('reload')).stdout).toBe(`nothing to do: ${name} matches ${path}\n`);
  });

  it("keeps a roamed peer's address until the file gives another one", async () => {
    await near.run(['wg', 'set', name, 'peer', THEIRS.publicKey, 'endpoint', '192.0.2.9:9']);
    expect((await wgts('reload')).stdout).toMatch(/^nothing to do/);
    write(undefined, 'AllowedIPs = 10.9.0.2/32\nEndpoint = 192.0.2.2:8');
    expect((await wgts('reload')).stdout).toContain('Endpoint 192.0.2.9:9 -> 192.0.2.2:8');
  });

  it('removes what the file no longer has, and keeps what a user added', async () => {
    await near.run(['wg', 'set', name, 'peer', OTHER.publicKey, 'allowed-ips', '10.5.0.0/16']);
    expect((await wgts('reload')).stdout).toMatch(/^nothing to do/);
    write('Address = 10.9.0.9/24\nMTU = 1400', 'AllowedIPs = 10.9.0.2/32');
    const done = await wgts('reload');
    expect(done.stdout).toMatch(/^remove address 10\.9\.0\.1\/24$/m);
    expect((await near.run(['wg', 'show', name, 'peers'])).stdout).toContain(OTHER.publicKey);
  });

  it('fails where a step fails, names the step, and continues from there', async () => {
    write('Address = 10.9.0.1/24\nMTU = 1400\nListenPort = 4322');
    const holder = near.start([
      'python3',
      '-c',
      "import socket,time\ns=socket.socket(2,2)\ns.bind(('0.0.0.0',4322))\nprint('held',flush=True)\ntime.sleep(60)",
    ]);
    while (!holder.stdout().includes('held')) await new Promise(resolve => setTimeout(resolve, 20));
    const failed = await wgts('reload');
    expect([failed.code, failed.stderr]).toEqual([1, expect.stringContaining('UDP port 4322 is in use, by process')]);
    await holder.stop();
    expect((await wgts('reload')).code).toBe(0);
    expect((await wgts('reload')).stdout).toMatch(/^nothing to do/);
  });

  it('fails on an interface that is not up', async () => {
    expect((await wgts('down')).code).toBe(0);
    const done = await wgts('reload');
    expect([done.code, done.stderr]).toEqual([1, `wgts: \`${name}' is not a WireGuard interface\n`]);
  });
});
