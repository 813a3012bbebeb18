/**
 * `wgts up --watch`: names whose address changes, a process that dies, the service manager, and the
 * privileges of the unit.
 *
 * @module-tag slow
 */
import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, it } from 'vitest';
import { readRights } from '../../src/io/process-rights.ts';
import { HANG_MS } from '../support/patience.ts';
import { printed, run, until } from './command.ts';
import { ROOT } from './device.ts';
import { keyPair } from './keys.ts';
import { Lab } from './lab.ts';
import { describeWith, NETWORK } from './needs.ts';
import { QuickHost, WGTS } from './quick-host.ts';
import { asUnit } from './unit.ts';

let lab: Lab;
let host: QuickHost;
beforeEach(async () => {
  lab = new Lab();
  host = await QuickHost.start(lab, 'host');
});
afterEach(() => lab?.close());

const PEER = keyPair().publicKey;
const FILE = `[Interface]
Address = 10.9.0.2/24
PrivateKey = ${keyPair().privateKey}

[Peer]
PublicKey = ${PEER}
AllowedIPs = 0.0.0.0/0
Endpoint = moving.example:51820
`;

/**
 * Writes the namespace's own /etc/hosts, which ip-netns(8) mounts for processes started after the
 * first.
 */
function hosts(text: string): void {
  const folder = `/etc/netns/${host.namespace.name}`;
  lab.owns(folder);
  mkdirSync(folder, { recursive: true });
  writeFileSync(join(folder, 'hosts'), `127.0.0.1 localhost\n${text}\n`);
}

const endpoint = async () => {
  const { stdout } = await host.namespace.run(['wg', 'show', host.name, 'endpoints'], { mayFail: true });
  return stdout.trim().split('\t')[1];
};

describeWith([...NETWORK, 'socat', 'nft'], 'wgts up --watch', () => {
  it('notifies the manager, follows a name, survives the death of the process, and takes everything down at the end', async () => {
    hosts('');
    host.write(FILE);
    const empty = await host.picture();
    const socket = join(lab.directory, 'notify');
    const manager = lab.file('', 'manager.log');
    const listening = host.namespace.start(['socat', '-u', `UNIX-RECVFROM:${socket},fork`, `OPEN:${manager},append`]);
    await until('the manager to listen', () => existsSync(socket));
    const watching = host.startWgts(['up', '--watch'], { NOTIFY_SOCKET: socket, WGTS_WATCH_INTERVAL: '0.2' });
    await until('word that it is up', () => readFileSync(manager, 'utf8').includes('READY=1'));
    await printed(watching, /moving\.example:51820.*cannot be resolved.*will be retried/);
    expect(await endpoint()).toBe('(none)');
    hosts('192.0.2.1 moving.example');
    await until('the name to be found', async () => (await endpoint()) === '192.0.2.1:51820');
    hosts('192.0.2.9 moving.example');
    await until('the peer to be followed', async () => (await endpoint()) === '192.0.2.9:51820');
    host.write(FILE.replace('0.0.0.0/0', '0.0.0.0/0, 10.7.0.0/16'));
    process.kill(watching.pid, 'SIGHUP');
    await until('the file to be read again', async () => (await host.picture())['routes']!.includes('10.7.0.0/16'));
    host.write('nonsense');
    process.kill(watching.pid, 'SIGHUP');
    await until('the mistake to be reported', () => watching.output().includes('not reloaded: '));
    host.write(FILE);
    await host.namespace.ip(`link del ${host.name}`);
    await until('the interface to be back', async () => (await endpoint()) === '192.0.2.9:51820');
    await printed(watching, `${host.name} is gone`);
    // The device must not notify the manager.
    expect(readFileSync(`/proc/${await host.devicePid()}/environ`, 'utf8')).not.toContain('NOTIFY_SOCKET');
    expect((await watching.stop('SIGTERM')).code, watching.output()).toBe(0);
    expect(await host.picture()).toEqual(empty);
    await until('word that it ends', () => readFileSync(manager, 'utf8').includes('STOPPING=1'));
    await listening.stop();
  });

  it('SIGTERM while it restores the interface rolls back and exits cleanly', async () => {
    host.write(FILE.replace('moving.example', '192.0.2.1'));
    const empty = await host.picture();
    const watching = host.startWgts(['up', '--watch']);
    await until('it to be done', () => watching.output().includes('rule'));
    await until('it to be up', async () => (await endpoint()) !== undefined);
    await host.namespace.ip(`link del ${host.name}`);
    const made = () => watching.output().split(`link ${host.name}: WireGuard`).length - 1;
    await until('it to begin again', () => made() === 2, HANG_MS, 2);
    expect((await watching.stop('SIGTERM')).code, watching.output()).toBe(0);
    expect(await host.picture()).toEqual(empty);
  });

  it('exits cleanly when another program takes the interface down', async () => {
    host.write(FILE.replace('moving.example', '192.0.2.1'));
    const watching = host.startWgts(['up', '--watch']);
    await until('it to be up', async () => (await endpoint()) !== undefined);
    await until('it to be done', () => watching.output().includes('rule'));
    const downed = await until('the lock', async () => {
      const result = await host.wgts('down');
      return result.stderr.includes('another wgts') ? undefined : result;
    });
    expect(downed.code, downed.stderr).toBe(0);
    expect((await watching.exited).code).toBe(0);
  });
});

describeWith([...NETWORK, 'setpriv', 'nft'], 'the systemd unit', () => {
  it('has all the capabilities that a full tunnel needs', async () => {
    const unit = readFileSync(join(ROOT, 'systemd/wgts@.service'), 'utf8');
    const names = /^CapabilityBoundingSet=(.*)$/m.exec(unit)![1]!.split(' ');
    const capabilities = ['-all', ...names.map(name => `+${name.replace('CAP_', '').toLowerCase()}`)].join(',');
    const least = ['setpriv', '--no-new-privs', '--inh-caps', '-all', '--bounding-set', capabilities];
    host.write(FILE.replace('moving.example', '192.0.2.1').replace('[Interface]', '[Interface]\nSaveConfig = true'));
    const empty = await host.picture();
    const wgts = (verb: string) => host.namespace.run([...least, ...WGTS, verb, host.file], { mayFail: true });
    const upped = await wgts('up');
    expect(upped.code, upped.stderr).toBe(0);
    expect(upped.stderr).not.toContain('warning');
    expect((await host.picture())['rules']).toContain('51820');
    const downed = await wgts('down');
    expect(downed.code, downed.stderr).toBe(0);
    expect(await host.picture()).toEqual(empty);
  });
});

describeWith(
  [...NETWORK, 'systemd-analyze', 'python3', 'unshare', 'nft'],
  'the systemd unit, as confined as it says',
  () => {
    it('runs a full tunnel: up, a dead process, reload, SaveConfig and down, without a warning', async () => {
      for (const folder of ['/run/wireguard', '/run/wireguard-ts', '/var/log/wireguard-ts'])
        mkdirSync(folder, { recursive: true });
      host.write(FILE.replace('moving.example', '192.0.2.1').replace('[Interface]', '[Interface]\nSaveConfig = true'));
      const empty = await host.picture();
      const unit = join(ROOT, 'systemd/wgts@.service');
      const watching = host.namespace.start(asUnit(unit, [lab.directory], [...WGTS, 'up', '--watch', host.file]), {
        env: { WGTS_WATCH_INTERVAL: '0.2', WGTS_LOG: 'file' },
      });
      await until('the tunnel', async () => {
        if (watching.result()) throw new Error(watching.output());
        return (await endpoint()) === '192.0.2.1:51820';
      });
      await until('the rules', async () => (await host.picture())['rules']!.includes('51820'));
      const pid = await host.devicePid();
      // the unit's filter and the device's own, which it installs after its socket answers
      const filters = () => readFileSync(`/proc/${pid}/status`, 'latin1');
      await until('both filters', () => /^Seccomp_filters:\s+2$/m.test(filters()));
      expect(readRights(pid)).toMatchObject({
        capabilities: ['CAP_NET_ADMIN'],
        noNewPrivileges: true,
        seccomp: 'filter',
        coreLimit: '0',
      });
      process.kill(pid, 'SIGKILL');
      await until('another process', async () => (await host.devicePid().catch(() => pid)) !== pid);
      await until('everything to be back', async () => {
        const { rules } = await host.picture();
        return rules!.includes('51820') && (await endpoint()) === '192.0.2.1:51820';
      });
      host.write(readFileSync(host.file, 'utf8').replace('0.0.0.0/0', '0.0.0.0/0, 10.7.0.0/16'));
      process.kill(watching.pid, 'SIGHUP');
      await until('the file to be read again', async () => (await host.picture())['routes']!.includes('10.7.0.0/16'));
      expect((await watching.stop('SIGTERM')).code, watching.output()).toBe(0);
      expect(readFileSync(host.file, 'utf8')).toContain('10.7.0.0/16');
      expect(watching.output()).not.toMatch(/EPERM|EROFS|read-only|not permitted|not reloaded|cannot/i);
      expect(await host.picture()).toEqual(empty);
    });
  },
);

describeWith(['systemd-analyze'], 'systemd-analyze on the units', () => {
  it.each(['wgts@.service', 'wgts-calico.service'])('%s: finds no mistake and little exposure', async name => {
    const text = readFileSync(join(ROOT, 'systemd', name), 'utf8').replace(/^(Exec\w+=-?)wgts/gm, '$1/bin/true');
    const unit = join(lab.directory, name.replace('@', '@wg0'));
    writeFileSync(unit, text);
    const { stderr } = await run(['systemd-analyze', 'verify', '--man=no', unit]);
    expect(stderr).toBe('');
    const { stdout } = await run(['systemd-analyze', 'security', '--offline=true', '--no-pager', unit]);
    // the maximum is 10; a service without restrictions has 9.6
    expect(Number(/exposure level for \S+: ([0-9.]+)/.exec(stdout)![1])).toBeLessThanOrEqual(2);
  });
});
