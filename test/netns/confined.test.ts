/**
 * A running device is confined: no thread has more rights than the device uses, and everything that
 * a device does still works. Every other test of this folder runs confined devices too.
 */
import { execFileSync } from 'node:child_process';
import { existsSync, readdirSync, readFileSync, statSync } from 'node:fs';
import { join, relative } from 'node:path';
import { afterEach, beforeEach, expect, it } from 'vitest';
import type { Findings } from '../../src/cli/commands/doctor.ts';
import { readRights } from '../../src/io/process-rights.ts';
import { printed, until } from './command.ts';
import { commandOf, Device, ROOT, SOCKET_DIRECTORY, startDevice } from './device.ts';
import { keyPair } from './keys.ts';
import { Lab, type Namespace } from './lab.ts';
import { describeWith, NETWORK } from './needs.ts';
import { INNER_B, tunnelPair } from './pair.ts';
import { WGTS } from './quick-host.ts';

/** An empty folder of every Debian, under which a test mounts what its plain user can read. */
const SEEN = '/mnt';

const CONFINED = {
  capabilities: ['CAP_NET_BIND_SERVICE', 'CAP_NET_ADMIN'],
  bounding: ['CAP_NET_BIND_SERVICE', 'CAP_NET_ADMIN'],
  noNewPrivileges: true,
  seccomp: 'filter',
  coreLimit: '0',
} as const;

/** The fields of each thread, read without the code under test. */
function threadsOf(pid: number): string[] {
  const fields = ['CapInh', 'CapPrm', 'CapEff', 'CapBnd', 'CapAmb', 'NoNewPrivs', 'Seccomp'];
  return readdirSync(`/proc/${pid}/task`).map(tid => {
    const text = readFileSync(`/proc/${pid}/task/${tid}/status`, 'latin1');
    return fields.map(name => Number(`0x${new RegExp(`^${name}:\\s+(\\S+)$`, 'm').exec(text)?.[1]}`)).join();
  });
}

const [NET_ADMIN, BIND, SYS_ADMIN] = [1 << 12, 1 << 10, 1 << 21];
const status = (capabilities: number) => [0, capabilities, capabilities, capabilities, 0, 1, 2].join();

describeWith([...NETWORK, 'python3', 'setpriv', 'unshare'], 'a confined device', () => {
  let lab: Lab;
  let host: Namespace;
  beforeEach(async () => {
    lab = new Lab();
    host = await lab.namespace('confined');
  });
  afterEach(() => lab?.close());

  it.each([['--backend=native'], ['--backend=pure']])('%s: every thread has given up its rights', async backend => {
    const device = await startDevice(lab, host, 'ours', { args: [backend], env: { LOG_LEVEL: 'verbose' } });
    await printed(
      device.process!,
      /confined: CAP_NET_BIND_SERVICE CAP_NET_ADMIN, no_new_privs, system calls filtered, no core dumps$/m,
    );
    const pid = device.process!.pid;
    const threads = threadsOf(pid);
    expect(threads.length).toBeGreaterThan(4);
    expect(new Set(threads)).toEqual(new Set([status(NET_ADMIN | BIND)]));
    expect(readRights(pid)).toMatchObject({ ...CONFINED, threads: threads.length });
  });

  it('in the background: is confined when the command returns', async () => {
    const name = lab.interfaceName();
    lab.owns(join(SOCKET_DIRECTORY, `${name}.sock`));
    await host.run([...commandOf('ours'), name]);
    const { stdout } = await host.run(['ip', 'netns', 'pids', host.name]);
    const pid = stdout.split('\n').find(each => each !== '' && commandLine(each).includes(name))!;
    expect(readRights(Number(pid))).toMatchObject(CONFINED);
    const doctor = JSON.parse((await host.run([...WGTS, 'doctor', '--json'], { mayFail: true })).stdout) as Findings;
    expect(doctor.filtersCalls).toBe(true);
    expect(doctor.running.filter(each => each.name === name)).toEqual([
      {
        name,
        pid: Number(pid),
        rights: expect.objectContaining(CONFINED),
        threads: { most: expect.any(Number), now: 1 },
      },
    ]);
    expect((await host.run([...commandOf('ours'), '--version', '--verbose'])).stdout).toMatch(
      /^sandbox +a device is confined$/m,
    );
  });

  it('goes on with link down and up, ports, marks, reloads, peers and traffic, then removes everything', async () => {
    const log = lab.file('', 'key-log');
    const pair = await tunnelPair({ lab, startA: { env: { WG_KEYLOGFILE: log, LOG_LEVEL: 'verbose' } } });
    const { a, b } = pair;
    const ping = () => a.namespace.run(['ping', '-c', '1', '-W', '10', INNER_B[4]]);
    await ping();
    expect(statSync(log).size).toBeGreaterThan(0);
    await a.namespace.ip(`link set ${a.device.name} down`, `link set ${a.device.name} up`);
    await ping();
    // a port that needs CAP_NET_BIND_SERVICE, and a mark that needs CAP_NET_ADMIN
    await a.device.set({ listenPort: 777, fwmark: 77 });
    await ping();
    expect(await a.device.show('listen-port')).toBe('777');
    expect(await a.device.show('fwmark')).toBe('0x4d');
    await a.device.mtu(1300);
    await ping();
    const file = lab.file((await a.namespace.run(['wg', 'showconf', a.device.name])).stdout);
    await a.device.wg('syncconf', a.device.name, file);
    await a.namespace.run([...WGTS, 'set', a.device.name, 'peer', keyPair().publicKey, 'allowed-ips', '10.99.0.0/16']);
    expect(await a.device.peers()).toHaveLength(2);
    await ping();
    const size = statSync(log).size;
    await a.device.set({ peers: [{ publicKey: b.keys.publicKey, remove: true }] });
    expect(size).toBeGreaterThan(0);
    expect(a.device.process!.output()).not.toMatch(/EPERM|crashed/);
    expect((await a.device.process!.stop()).code).toBe(0);
    expect(existsSync(a.device.socket)).toBe(false);
    expect((await a.namespace.run(['ip', 'link', 'show', a.device.name], { mayFail: true })).code).not.toBe(0);
  });

  it('ends with its interface, opens no debugger, and survives SIGUSR1 and SIGUSR2', async () => {
    const device = await startDevice(lab, host);
    const pid = device.process!.pid;
    await until('the filter', () => readRights(pid)?.seccomp === 'filter');
    for (const signal of ['SIGUSR1', 'SIGUSR2'] as const) process.kill(pid, signal);
    await device.up(['10.0.0.1/24']);
    expect((await host.run(['ss', '-ltn'])).stdout).not.toContain(':9229');
    await host.ip(`link del ${device.name}`);
    expect((await device.process!.exited).code).toBe(0);
  });

  it('WGTS_SANDBOX=netns keeps what a moved interface needs, to be silent there too', async () => {
    const away = await lab.namespace('away');
    const device = await startDevice(lab, host, 'ours', { env: { WGTS_SANDBOX: 'netns' } });
    const pid = device.process!.pid;
    await until('the filter', () => readRights(pid)?.seccomp === 'filter');
    expect(new Set(threadsOf(pid))).toEqual(new Set([status(NET_ADMIN | BIND | SYS_ADMIN)]));
    await device.moveTo(away);
    await device.up(['10.0.0.1/24']);
    // what it sets in each namespace (native/tun-quiet.c)
    const details = async () => (await away.run(['ip', '-d', 'link', 'show', device.name])).stdout;
    await until('it to be silent there', async () => (await details()).includes('addrgenmode none'));
  });

  it('an interface that it cannot follow is reported once, is seen again when it comes back, and ends it', async () => {
    const away = await lab.namespace('away');
    const device = await startDevice(lab, host, 'ours', { env: { LOG_LEVEL: 'verbose' } });
    const { process: running } = device;
    await until('the filter', () => readRights(running!.pid)?.seccomp === 'filter');
    const count = (text: string) => running!.output().split(text).length - 1;
    await device.moveTo(away);
    await printed(running!, 'this process may not enter');
    await device.up(['10.0.0.1/24']);
    await printed(running!, 'interface up');
    await device.moveTo(host);
    await printed(running!, 'its MTU is followed again');
    await device.up(['10.0.0.1/24']);
    const details = async () => (await host.run(['ip', '-d', 'link', 'show', device.name])).stdout;
    await until('it to be silent again', async () => (await details()).includes('addrgenmode none'));
    await device.moveTo(away);
    await until('the second move', () => count('this process may not enter') === 2);
    await away.ip(`link del ${device.name}`);
    expect((await running!.exited).code).toBe(0);
    expect(count('this process may not enter')).toBe(2);
    expect(existsSync(device.socket)).toBe(false);
  });

  it('--no-sandbox and WGTS_SANDBOX=off keep all rights; other values are refused by name', async () => {
    for (const options of [{ args: ['--no-sandbox'] }, { env: { WGTS_SANDBOX: 'off' } }]) {
      const device = await startDevice(lab, host, 'ours', { ...options });
      const rights = readRights(device.process!.pid)!;
      expect(rights.seccomp).toBe('none');
      expect(rights.noNewPrivileges).toBe(false);
      expect(rights.capabilities.length).toBeGreaterThan(20);
      await device.stop();
    }
    const { code, stderr } = await host.run([...commandOf('ours'), '-f', 'never'], {
      env: { WGTS_SANDBOX: 'maybe' },
      mayFail: true,
    });
    expect(code).toBe(1);
    expect(stderr).toMatch(/\$WGTS_SANDBOX.*maybe.*on, netns, off|\$WGTS_SANDBOX.*"maybe"/s);
  });

  it('in a user namespace, as a plain user, a device works and is confined', async () => {
    const name = lab.interfaceName();
    const tun = join(lab.directory, 'tun');
    await host.run(['mknod', '-m', '666', tun, 'c', '10', '200']);
    const [node, program] = commandOf('ours');
    const [nodeSeen, rootSeen] = [join(SEEN, 'node'), join(SEEN, 'root')];
    // a device file, Node and a program for everyone, which this machine may not have; then a
    // folder for the socket
    const asUser = `mount -t tmpfs none ${SEEN} && touch ${nodeSeen} && mkdir ${rootSeen} &&
      mount --bind "$0" /dev/net/tun && mount --bind "$1" ${nodeSeen} && mount --bind "$2" ${rootSeen} &&
      shift 2 && exec setpriv --reuid=65534 --regid=65534 --clear-groups "$@"`;
    const inside = 'mount -t tmpfs none /run && exec "$@"';
    const running = host.start(
      [
        ...['unshare', '-m', 'sh', '-c', asUser, tun, node!, ROOT],
        ...['unshare', '-Urnm', 'sh', '-c', inside, 'sh'],
        ...[nodeSeen, join(rootSeen, relative(ROOT, program!)), '-f', name],
      ],
      { env: { LOG_LEVEL: 'verbose' } },
    );
    await printed(running, 'confined: ');
    expect(new Set(threadsOf(running.pid))).toEqual(new Set([status(NET_ADMIN | BIND)]));
    const enter = (...argv: string[]) =>
      host.run(['nsenter', `--target=${running.pid}`, '--user', '--net', '--mount', ...argv]);
    await enter('wg', 'set', name, 'listen-port', '777', 'fwmark', '7');
    await enter('ip', 'link', 'set', name, 'up');
    expect((await enter('wg', 'show', name, 'listen-port')).stdout.trim()).toBe('777');
    expect((await running.stop()).code).toBe(0);
  });

  it('with CAP_NET_ADMIN alone, keeps just that', async () => {
    const name = lab.interfaceName();
    lab.owns(join(SOCKET_DIRECTORY, `${name}.sock`));
    const running = host.start([
      ...['setpriv', '--bounding-set=-all,+net_admin', '--inh-caps=-all', '--no-new-privs'],
      ...[...commandOf('ours'), '-f', name],
    ]);
    const device = new Device(lab, host, name, 'ours', running);
    await until('the filter', () => readRights(running.pid)?.seccomp === 'filter');
    expect(new Set(threadsOf(running.pid))).toEqual(new Set([status(NET_ADMIN)]));
    await device.up(['10.0.0.1/24']);
    await device.set({ listenPort: 7777, fwmark: 7 });
    expect((await running.stop()).code).toBe(0);
  });
});

/** Reports what the addon asks about namespaces. */
const WATCHED = `
#define _GNU_SOURCE
#include <dlfcn.h>
#include <unistd.h>
#define SAY(text) (void)!write(2, text, sizeof text - 1)
int setns(int fd, int kind) {
  int (*real)(int, int) = (int (*)(int, int))dlsym(RTLD_NEXT, "setns");
  SAY("tries to enter\\n");
  return real(fd, kind);
}
int ioctl(int fd, unsigned long request, void *argument) {
  int (*real)(int, unsigned long, void *) = (int (*)(int, unsigned long, void *))dlsym(RTLD_NEXT, "ioctl");
  if (request == 0x54e3) SAY("asks where it is\\n");
  return real(fd, request, argument);
}
`;

describeWith([...NETWORK, 'cc'], 'a confined device, whose calls are watched', () => {
  it('tries to enter a namespace once', async () => {
    const lab = new Lab();
    try {
      const library = join(lab.directory, 'watched.so');
      execFileSync('cc', ['-shared', '-fPIC', '-x', 'c', '-', '-o', library, '-ldl'], { input: WATCHED });
      const [host, away] = [await lab.namespace('watched'), await lab.namespace('away')];
      const device = await startDevice(lab, host, 'ours', { env: { LD_PRELOAD: library } });
      const said = () => device.process!.output();
      await until('the filter', () => readRights(device.process!.pid)?.seccomp === 'filter');
      const count = (text: string) => said().split(text).length - 1;
      // ip(8) entered the first namespace
      const before = count('tries to enter');
      await device.moveTo(away);
      await until('an attempt', () => count('tries to enter') > before);
      const looks = count('asks');
      await until('three more looks', () => count('asks') >= looks + 3);
      expect(count('tries to enter')).toBe(before + 1);
    } finally {
      await lab.close();
    }
  });
});

function commandLine(pid: string): string {
  try {
    return readFileSync(`/proc/${pid}/cmdline`, 'latin1');
  } catch {
    return '';
  }
}
