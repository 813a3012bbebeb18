/**
 * Ten different files, by wg-quick and by `wgts up` on twin hosts: ip, wg and nft show the same,
 * and after down the same as before.
 *
 * @module-tag slow
 */
import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, it } from 'vitest';
import { keyPair, presharedKey } from './keys.ts';
import { Lab } from './lab.ts';
import { describeWith, NETWORK } from './needs.ts';
import { QuickHost } from './quick-host.ts';

let lab: Lab;
beforeEach(() => {
  lab = new Lab();
});
afterEach(() => lab?.close());

const OWN = `PrivateKey = ${keyPair().privateKey}\nListenPort = 41820`;
const peer = (...lines: readonly string[]) => `\n[Peer]\nPublicKey = ${keyPair().publicKey}\n${lines.join('\n')}\n`;
const endpoint = 'Endpoint = 192.0.2.1:51820';

const FILES: Readonly<Record<string, string>> = {
  'a full tunnel': `[Interface]\nAddress = 10.9.0.2/24\n${OWN}\n${peer('AllowedIPs = 0.0.0.0/0', endpoint)}`,
  'a split tunnel': `[Interface]\nAddress = 10.9.0.2/24\n${OWN}\n${peer('AllowedIPs = 10.7.0.0/16, 10.8.1.0/24', endpoint)}${peer('AllowedIPs = 10.8.0.0/16')}`,
  'dual stack': `[Interface]\nAddress = 10.9.0.2/24, fd00:9::2/64\n${OWN}\n${peer('AllowedIPs = 0.0.0.0/0, ::/0', endpoint)}`,
  'Table = off': `[Interface]\nAddress = 10.9.0.2/24\nTable = off\n${OWN}\n${peer('AllowedIPs = 0.0.0.0/0, 10.7.0.0/16', endpoint)}`,
  'a preshared key': `[Interface]\nAddress = 10.9.0.2/24\nMTU = 1333\n${OWN}\n${peer(`PresharedKey = ${presharedKey()}`, 'AllowedIPs = 10.7.0.0/16', 'PersistentKeepalive = 25')}`,
  hooks: `[Interface]\nAddress = 10.9.0.2/24\n${OWN}
PreUp = ip link set dev eth0 mtu 1440
PostUp = ip route add 203.0.113.0/24 dev %i && wg set %i fwmark 0x99
PostUp = ip rule add to 203.0.113.0/24 table main priority 77
PreDown = ip rule del priority 77
PostDown = ip link set dev eth0 mtu 1450
${peer('AllowedIPs = 10.7.0.0/16')}`,
  '500 peers': `[Interface]\nAddress = 10.9.0.1/16\n${OWN}\n${Array.from({ length: 500 }, (_, i) =>
    peer(`AllowedIPs = 10.9.${i >> 8}.${i & 255}/32, 10.20.${i >> 8}.${i & 255}/32`),
  ).join('')}`,
  'no peers': `[Interface]\nAddress = 10.9.0.2/24\n${OWN}\n`,
  'IPv6 alone': `[Interface]\nAddress = fd00:9::2/64\n${OWN}\n${peer('AllowedIPs = ::/0, fd00:8::/48, fd00:9::7/128', 'Endpoint = [2001:db8:1::7]:7')}`,
  'several addresses': `[Interface]\nAddress = 10.9.0.2/24, 10.9.5.5\nAddress = fd00:9::2/128,10.10.0.1/16\n${OWN}\nFwMark = 0x77\n${peer('AllowedIPs = 10.9.0.7/32, 10.9.0.0/16, 10.10.4.0/24, fd00:9::2/128, 10.9.5.5/32, 0.0.0.0/0', endpoint)}`,
  'a table of its own': `[Interface]\nAddress = 10.9.0.2/24\nTable = 1234\n${OWN}\n${peer('AllowedIPs = 10.7.0.0/16, 0.0.0.0/0, ::/0', endpoint)}`,
};

describeWith([...NETWORK, 'wg-quick', 'nft'], 'wgts up and wg-quick', () => {
  it.each(Object.entries(FILES))('agree on %s', async (_, text) => {
    const [ours, theirs] = [await QuickHost.start(lab, 'ours'), await QuickHost.start(lab, 'theirs')];
    for (const host of [ours, theirs]) {
      host.write(text);
      // Another program's firewall, which must stay all the time.
      for (const family of ['ip', 'ip6', 'inet']) await host.namespace.run(['nft', 'add', 'table', family, 'other']);
    }
    const before = await ours.picture();
    expect(await theirs.picture()).toEqual(before);
    const upped = await ours.wgts('up');
    expect(upped.stderr).not.toMatch(/warning/);
    expect(upped.code, upped.stderr).toBe(0);
    const quick = await theirs.wgQuick('up');
    expect(quick.code, quick.stderr).toBe(0);
    const picture = await ours.picture();
    expect(picture).toEqual(await theirs.picture());
    expect(picture['device']).toContain('ListenPort = 41820');
    expect(picture['addresses']).toMatch(/IF: .*UP.* mtu [0-9]+/);
    expect((await ours.wgts('up')).stderr).toContain(`\`${ours.name}' already exists`);
    const downed = await ours.wgts('down');
    expect(downed.code, downed.stderr).toBe(0);
    expect(await ours.picture()).toEqual(before);
    expect(existsSync(ours.state)).toBe(false);
    expect((await ours.wgts('down')).stderr).toContain(`\`${ours.name}' is not a WireGuard interface`);
  });

  it('take down what the other brought up', async () => {
    const [ours, theirs] = [await QuickHost.start(lab, 'ours'), await QuickHost.start(lab, 'theirs')];
    const before = await ours.picture();
    for (const host of [ours, theirs]) host.write(FILES['dual stack']!);
    expect((await ours.wgts('up')).code).toBe(0);
    expect((await theirs.wgQuick('up')).code).toBe(0);
    expect((await ours.wgQuick('down')).code).toBe(0);
    expect((await theirs.wgts('down')).code).toBe(0);
    // wg-quick does not restore it.
    const after = { ...before, src_valid_mark: 'net.ipv4.conf.all.src_valid_mark = 1\n' };
    expect(await ours.picture()).toEqual(after);
    expect(await theirs.picture()).toEqual(after);
    expect((await ours.wgts('up')).code, 'up again').toBe(0);
    expect((await ours.wgts('down')).code).toBe(0);
    expect(await ours.picture()).toEqual(before);
  });

  it('strip the same, and save files that mean the same to wg', async () => {
    const [ours, theirs] = [await QuickHost.start(lab, 'ours'), await QuickHost.start(lab, 'theirs')];
    const text = `${FILES['dual stack']!.replace('[Interface]', '[Interface]\nSaveConfig = true\nPostDown = true')}`;
    for (const host of [ours, theirs]) host.write(text);
    expect((await ours.wgts('strip')).stdout).toBe((await theirs.wgQuick('strip')).stdout);
    await ours.wgts('up');
    await theirs.wgQuick('up');
    for (const host of [ours, theirs]) await host.namespace.run(['wg', 'set', host.name, 'listen-port', '42000']);
    expect((await ours.wgts('save')).code).toBe(0);
    expect((await theirs.wgQuick('save')).code).toBe(0);
    const own = readFileSync(ours.file, 'utf8');
    // wgts does not save the mark that it chose, nor the address that the kernel assigned.
    const quick = readFileSync(theirs.file, 'utf8').replace('FwMark = 0xca6c\n', '');
    expect(own).toBe(quick.replace(/Address = fe80.*\n/, ''));
    expect(own).toContain('ListenPort = 42000');
    await ours.namespace.run(['wg', 'set', ours.name, 'listen-port', '42001']);
    expect((await ours.wgts('down')).code).toBe(0);
    expect(readFileSync(ours.file, 'utf8')).toBe(own.replace('42000', '42001'));
  });

  it('pass the same to resolvconf, and fail the same without it', async () => {
    const [ours, theirs] = [await QuickHost.start(lab, 'ours'), await QuickHost.start(lab, 'theirs')];
    const text = `[Interface]\nAddress = 10.9.0.2/24\nDNS = 10.9.0.1, example.org\nDNS = fd00::1\n${OWN}\n`;
    for (const host of [ours, theirs]) host.write(text);
    expect((await ours.wgts('up')).stderr).toMatch(/DNS: neither resolvconf nor resolvectl is installed/);
    expect(existsSync(ours.state)).toBe(false);
    const logs: string[] = [];
    for (const host of [ours, theirs]) {
      const log = join(lab.directory, `${host.name}.log`);
      const bin = join(lab.directory, `${host.name}.bin`);
      await host.namespace.run(['mkdir', bin]);
      const script = `#!/bin/bash\necho "$@" >>${log}; [[ $1 == -a ]] && cat >>${log}; true\n`;
      await host.namespace.run(['bash', '-c', `cat >${bin}/resolvconf; chmod +x ${bin}/resolvconf`], { input: script });
      const env = { PATH: `${bin}:${process.env['PATH']}` };
      const run = (verb: string) =>
        host === ours
          ? host.startWgts([verb], env).exited
          : host.namespace.run(['env', `PATH=${env.PATH}`, 'wg-quick', verb, host.file], { env: quickEnvironment() });
      expect((await run('up')).code).toBe(0);
      expect((await run('down')).code).toBe(0);
      logs.push(readFileSync(log, 'utf8').replaceAll(host.name, 'IF'));
    }
    expect(logs[0]).toBe(logs[1]);
  });
});

function quickEnvironment(): Record<string, string> {
  return { WG_QUICK_USERSPACE_IMPLEMENTATION: join(import.meta.dirname, '../../bin/wireguard-ts') };
}
