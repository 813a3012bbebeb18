/**
 * wgts with devices of the (fake) kernel: every command that talks to a device, next to a userspace
 * device.
 */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, beforeEach, expect, test } from 'vitest';
import { SystemBackend } from '../../src/backend/system.ts';
import { addconf, setconf, showconf, syncconf } from '../../src/cli/commands/conf.ts';
import { set } from '../../src/cli/commands/set.ts';
import { show } from '../../src/cli/commands/show.ts';
import type { Command } from '../../src/cli/terminal.ts';
import { Network } from '../../src/netlink/network.ts';
import { describeWith } from '../netns/needs.ts';
import { FakeDevice } from '../support/fake-device.ts';
import { FakeKernel } from '../support/fake-kernel/kernel.ts';
import { runCommand } from './terminal-for-test.ts';
import { CONFS, KEY } from './wg-cases.ts';

const [OURS, THEIRS] = [`wgk${process.pid}`, `wgu${process.pid}`];
const folder = mkdtempSync(join(tmpdir(), 'wgts-test-'));
const userspace = new FakeDevice(THEIRS);
let kernel: FakeKernel;

const run = (command: Command, ...args: string[]) => runCommand(command, args, () => new SystemBackend(kernel));
const file = (text: string): string => {
  const path = join(folder, 'file');
  writeFileSync(path, text);
  return path;
};

describeWith(['root'], 'wgts with a kernel device', () => {
  beforeAll(() => userspace.open());
  beforeEach(async () => {
    kernel = new FakeKernel();
    const network = new Network(kernel);
    for (const [name, kind] of [
      [OURS, 'wireguard'],
      ['ifb7', 'ifb'],
    ] as const)
      await network.links.create({ name, kind, up: true });
    network.close();
    userspace.status = '';
    userspace.requests.length = 0;
  });
  afterAll(() => {
    userspace.close();
    rmSync(folder, { recursive: true });
  });

  test('show interfaces and show all list kernel devices before userspace devices', async () => {
    const { out } = await run(show, 'interfaces');
    const names = out.trim().split(' ');
    expect(names[0]).toBe(OURS);
    expect(names).toContain(THEIRS);
    expect((await run(show, 'all', 'listen-port')).out).toMatch(new RegExp(`^${OURS}\t4000\\d\n(.*\n)*${THEIRS}\t0\n`));
    expect((await run(show)).out).toMatch(new RegExp(`^interface: ${OURS}\n  listening port: \\d+\n\n`));
  });

  test('setconf, showconf, addconf, set, syncconf and show work', async () => {
    expect(await run(setconf, OURS, file(CONFS['everything']!))).toEqual({ status: 0, out: '', err: '' });
    const conf = `[Interface]\nListenPort = 51820\nFwMark = 0xff\nPrivateKey = ${KEY.private}\n\n[Peer]\nPublicKey = ${KEY.a}\nPresharedKey = ${KEY.psk}\nAllowedIPs = 10.0.0.0/8, fd00::/8\nEndpoint = 192.0.2.1:4242\nPersistentKeepalive = 25\n`;
    expect((await run(showconf, OURS)).out).toBe(
      conf.replace(KEY.private, 'qKqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqmo='),
    );
    await run(addconf, OURS, file(`[Peer]\nPublicKey = ${KEY.b}\nAllowedIPs = 192.0.2.0/24\n`));
    await run(set, OURS, 'fwmark', 'off', 'peer', KEY.a, 'allowed-ips', '-fd00::/8');
    expect((await run(show, OURS, 'allowed-ips')).out).toBe(`${KEY.a}\t10.0.0.0/8\n${KEY.b}\t192.0.2.0/24\n`);
    expect((await run(show, OURS, 'fwmark')).out).toBe('off\n');
    const before = kernel.requests.length;
    await run(syncconf, OURS, file(CONFS['everything']!.replace('10.0.0.0/8, ', '')));
    expect((await run(show, OURS, 'dump')).out).toMatch(/\t192\.0\.2\.1:4242\tfd00::\/8\t0\t0\t0\t25\n$/);
    // Two requests: one probes whether single prefixes can be removed, one makes the change.
    expect(kernel.requests.slice(before).filter(name => name === 'WG_CMD_SET_DEVICE')).toHaveLength(2);
    const json = JSON.parse((await run(show, OURS, '--json')).out);
    expect(json).toMatchObject({ name: OURS, kind: 'kernel', listenPort: 51820, counters: null });
    expect(JSON.parse((await run(show, THEIRS, '--json')).out)).toMatchObject({ name: THEIRS, kind: 'userspace' });
  });

  test('a name with a control socket means the userspace device, whatever the kernel has', async () => {
    const network = new Network(kernel);
    await network.links.create({ name: THEIRS, kind: 'wireguard' });
    network.close();
    await run(set, THEIRS, 'listen-port', '7');
    expect(userspace.requests).toEqual(['set=1\nlisten_port=7\n\n']);
    expect(kernel.requests).not.toContain('WG_CMD_SET_DEVICE');
    expect((await run(show, 'interfaces')).out.split(/\s/).filter(name => name === THEIRS)).toHaveLength(1);
  });

  test.each([
    [
      'wgnowhere',
      'ENODEV',
      /^there is no interface `wgnowhere' \(nor is there .*wgnowhere\.sock\); WireGuard interfaces here: /,
    ],
    [
      'ifb7',
      'EOPNOTSUPP',
      /^ifb7 is not a WireGuard interface: it is a link of kind ifb \(nor is there .*ifb7\.sock\)$/,
    ],
    ['lo', 'EOPNOTSUPP', /^lo is not a WireGuard interface \(nor/],
  ])('%s: explains %s', async (name, code, message) => {
    await expect(run(show, name)).rejects.toMatchObject({ code, message: expect.stringMatching(message) });
    await expect(run(syncconf, name, file(''))).rejects.toMatchObject({ code });
  });

  test('a missing privilege names the attempted operation and the privilege', async () => {
    kernel.failNext('WG_CMD_GET_DEVICE', 'EPERM');
    await expect(run(show, OURS)).rejects.toMatchObject({
      code: 'EPERM',
      message: `reading WireGuard device ${OURS}: EPERM (Operation not permitted): root or CAP_NET_ADMIN is needed`,
    });
  });

  test('show all continues past an unreadable device and fails only if it can read none', async () => {
    kernel.failNext('WG_CMD_GET_DEVICE', 'EPERM');
    const { status, out, err } = await run(show, 'all', 'fwmark');
    expect(status).toBe(0);
    expect(out).toContain(`${THEIRS}\toff\n`);
    expect(err).toMatch(new RegExp(`^Unable to access interface ${OURS}: .*EPERM`));
  });

  test('listing resolves no netlink family, so it loads no module, and works without netlink', async () => {
    await run(show, 'interfaces');
    expect(kernel.requests.filter(name => name === 'CTRL_CMD_GETFAMILY')).toEqual([]);
    kernel.failNext('RTM_GETLINK', 'EOPNOTSUPP');
    expect((await run(show, 'interfaces')).out.split(/\s/)).toContain(THEIRS);
  });
});
