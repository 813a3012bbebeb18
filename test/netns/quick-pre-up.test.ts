/**
 * wg-quick(8)'s own example: PreUp reads a key from elsewhere. The key is set after up, after
 * SIGHUP, and after the process died.
 *
 * @module-tag slow
 */
import { existsSync, readFileSync } from 'node:fs';
import { afterEach, beforeEach, expect, it } from 'vitest';
import { until } from './command.ts';
import { keyPair } from './keys.ts';
import { Lab } from './lab.ts';
import { describeWith, NETWORK } from './needs.ts';
import { QuickHost } from './quick-host.ts';

let lab: Lab;
let host: QuickHost;
beforeEach(async () => {
  lab = new Lab();
  host = await QuickHost.start(lab, 'host');
});
afterEach(() => lab?.close());

const OWN = keyPair();
const [PEER, GONE, HOOKS] = [keyPair().publicKey, keyPair().publicKey, keyPair().publicKey];
const show = async (...what: readonly string[]) =>
  (await host.namespace.run(['wg', 'show', host.name, ...what], { mayFail: true })).stdout.trim();
const isUp = () => existsSync(host.state) && readFileSync(host.state, 'utf8').includes('"phase": "up"');

describeWith([...NETWORK, 'bash', 'nft'], 'PreUp', () => {
  it('sets the key and a peer, which survive a reload', async () => {
    const key = lab.file(`${OWN.privateKey}\n`, 'private-key');
    const text = (...peers: readonly string[]) => `[Interface]
Address = 10.9.0.2/24
PreUp = wg set %i private-key ${key}
PreUp = wg set %i peer ${HOOKS} allowed-ips 10.99.0.0/16
${peers.map(peer => `[Peer]\n${peer}\n`).join('')}`;
    host.write(text(`PublicKey = ${PEER}\nAllowedIPs = 10.7.0.0/16`, `PublicKey = ${GONE}\nAllowedIPs = 10.8.0.0/16`));
    const empty = await host.picture();
    const watching = host.startWgts(['up', '--watch']);
    await until('it to be up', isUp);
    expect(await show('public-key'), watching.output()).toBe(OWN.publicKey);
    expect((await show('peers')).split('\n').sort()).toEqual([PEER, GONE, HOOKS].sort());
    expect((await host.picture())['routes']).toContain('10.99.0.0/16 dev IF');
    expect((await host.wgts('up')).stderr).toContain('already exists');
    host.write(text(`PublicKey = ${PEER}\nAllowedIPs = 10.7.0.0/16, 10.6.0.0/16`));
    process.kill(watching.pid, 'SIGHUP');
    await until('the file to be read again', async () => (await host.picture())['routes']!.includes('10.6.0.0/16'));
    expect((await show('peers')).split('\n').sort()).toEqual([PEER, HOOKS].sort());
    expect(await show('public-key')).toBe(OWN.publicKey);
    const pid = await host.devicePid();
    process.kill(pid, 'SIGKILL');
    await until('it to be up again', async () => (await show('public-key')) === OWN.publicKey);
    await until('all of it', isUp);
    expect((await show('peers')).split('\n').sort()).toEqual([PEER, HOOKS].sort());
    expect((await watching.stop('SIGTERM')).code, watching.output()).toBe(0);
    expect(await host.picture()).toEqual(empty);
  });

  it('may bring the interface up and add a route of the file', async () => {
    host.write(`[Interface]
Address = 10.9.0.2/24, fd00:9::2/64
PrivateKey = ${OWN.privateKey}
PreUp = ip link set %i up; ip route add 10.5.0.0/16 dev %i proto static
PreUp = ip route add fd00:5::/32 dev %i proto static
[Peer]
PublicKey = ${PEER}
AllowedIPs = 10.5.0.0/16, 10.6.0.0/16, fd00:5::/32
`);
    const empty = await host.picture();
    const upped = await host.wgts('up');
    expect(upped.code, upped.stderr).toBe(0);
    const { routes, 'IPv6 routes': routes6 } = await host.picture();
    expect(routes).toMatch(/^10\.5\.0\.0\/16 dev IF proto static[\s\S]*^10\.6\.0\.0\/16 dev IF /m);
    expect(routes6).toMatch(/^fd00:5::\/32 dev IF proto static/m);
    expect((await host.wgts('down')).code).toBe(0);
    expect(await host.picture()).toEqual(empty);
  });

  it('removes the interface when it fails', async () => {
    host.write(`[Interface]\nPreUp = wg set %i private-key /no/such/file\n`);
    const empty = await host.picture();
    const failed = await host.wgts('up');
    expect(failed.code).toBe(1);
    expect(failed.stderr).toMatch(/^\[#\] link .*\n\[#\] PreUp: /);
    expect(await host.picture()).toEqual(empty);
    expect(existsSync(host.state)).toBe(false);
  });
});
