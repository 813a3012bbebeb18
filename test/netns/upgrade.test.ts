/**
 * `wgts upgrade` (src/cli/commands/upgrade.ts): one interface, all of them, through `wgts up
 * --watch`, and without a running interface.
 *
 * @module-tag slow
 */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, it } from 'vitest';
import { pidOf } from '../../src/daemon/device-owner.ts';
import { type Result, until } from './command.ts';
import { commandOf, SOCKET_DIRECTORY } from './device.ts';
import { keyPair } from './keys.ts';
import { Lab } from './lab.ts';
import { describeWith, NETWORK } from './needs.ts';
import { QuickHost, WGTS } from './quick-host.ts';

const BACKGROUND = { WG_I_PREFER_BUGGY_USERSPACE_TO_POLISHED_KMOD: '1', WGTS_LOG: 'none' };
// CAP_PERFMON, which CAP_SYS_ADMIN includes, also shows environments in newer kernels
const WITHOUT_TRACING = ['setpriv', '--bounding-set=-sys_ptrace,-perfmon,-sys_admin'];
/** The kernel shows such a process only to one that has all rights too. */
const ALL_RIGHTS = { WGTS_SANDBOX: 'off' };
const LIMIT_MS = 120_000;

let lab: Lab;
let host: QuickHost;
beforeEach(async () => {
  lab = new Lab();
  host = await QuickHost.start(lab, 'host');
});
afterEach(() => lab?.close());

/** Starts an interface in the background. @returns its process */
async function begin(name: string, env: Readonly<Record<string, string>> = {}): Promise<number> {
  lab.owns(join(SOCKET_DIRECTORY, `${name}.sock`));
  lab.owns(join(SOCKET_DIRECTORY, 'handover', name));
  await host.namespace.run([...commandOf('ours'), name], { env: { ...BACKGROUND, ...env } });
  return pidOf(name)!;
}

function upgrade(args: readonly string[], before: readonly string[] = [], env = {}): Promise<Result> {
  return host.namespace.run([...before, ...WGTS, 'upgrade', ...args], { mayFail: true, env });
}

function environmentOf(pid: number): string[] {
  return readFileSync(`/proc/${pid}/environ`, 'utf8').split('\0');
}

describeWith([...NETWORK, 'setpriv', 'nft'], 'wgts upgrade', () => {
  it('moves one interface to a new process, with the settings of the old one', { timeout: LIMIT_MS }, async () => {
    const { name } = host;
    const old = await begin(name, { WGTS_SANDBOX: 'off' });
    await host.namespace.run(['wg', 'set', name, 'fwmark', '77']);
    const ofCaller = { WG_KEYLOGFILE: lab.file('', 'keys'), WGTS_NO_OFFLOAD: '1', WG_TUN_FD: '9' };
    const { code, stdout, stderr } = await upgrade([name], [], ofCaller);
    expect(code, stderr).toBe(0);
    const now = pidOf(name)!;
    expect(stdout).toBe(`${name}: process ${old} handed over to process ${now}\n`);
    expect(now).not.toBe(old);
    expect(environmentOf(now)).toContain('WGTS_SANDBOX=off');
    expect(environmentOf(now).filter(each => Object.keys(ofCaller).includes(each.split('=')[0]!))).toEqual([]);
    expect((await host.namespace.run(['wg', 'show', name, 'fwmark'])).stdout.trim()).toBe('0x4d');
  });

  it('moves all interfaces, and says so if none runs', { timeout: LIMIT_MS }, async () => {
    const none = await upgrade([]);
    expect(none.stdout).toBe('no interface of wireguard-ts runs in this network namespace\n');
    const names = [host.name, lab.interfaceName()];
    const old = [];
    for (const name of names) old.push(await begin(name));
    const { code, stdout, stderr } = await upgrade([]);
    expect(code, stderr).toBe(0);
    for (const [i, name] of names.entries())
      expect(stdout).toContain(`${name}: process ${old[i]} handed over to process ${pidOf(name)}\n`);
  });

  it('names the interface that no process offers', async () => {
    const { code, stderr } = await upgrade([host.name]);
    expect(code).toBe(1);
    expect(stderr).toContain(`no process offers a hand-over of ${host.name}`);
  });

  it('without the right to see how it was started, names that right, and the interface stays', {
    timeout: LIMIT_MS,
  }, async () => {
    const old = await begin(host.name, ALL_RIGHTS);
    const { code, stderr } = await upgrade([host.name], WITHOUT_TRACING);
    expect(code).toBe(1);
    expect(stderr).toContain('CAP_SYS_PTRACE');
    expect(stderr).not.toContain('CAP_NET_ADMIN');
    expect(pidOf(host.name)).toBe(old);
  });

  it('asks wgts up --watch, for which it needs no right to see into processes', { timeout: LIMIT_MS }, async () => {
    host.write(`[Interface]\nAddress = 10.9.0.2/24\nPrivateKey = ${keyPair().privateKey}\n`);
    const watching = host.startWgts(['up', '--watch'], { WGTS_BACKEND: 'userspace', ...ALL_RIGHTS });
    const old = await until('the interface', () => watching.result() === undefined && pidOf(host.name));
    await until('it to watch', () => watching.output().includes('10.9.0.2/24'));
    const { code, stdout, stderr } = await upgrade([host.name], WITHOUT_TRACING);
    expect(code, stderr).toBe(0);
    expect(stdout).toBe(`${host.name}: process ${old} handed over to process ${pidOf(host.name)}\n`);
    expect(pidOf(host.name)).not.toBe(old);
    expect((await watching.stop('SIGTERM')).code, watching.output()).toBe(0);
  });
});
