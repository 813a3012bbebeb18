/**
 * How the program starts, goes to the background, and ends: like wireguard-go, because wg-quick and
 * service managers depend on it.
 */
import { existsSync, mkdirSync, statSync, unlinkSync, watch } from 'node:fs';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, it } from 'vitest';
import { run, until } from './command.ts';
import { commandOf, Device, PROGRAM, SOCKET_DIRECTORY, startDevice } from './device.ts';
import { Lab, type Namespace } from './lab.ts';
import { describeWith, NETWORK } from './needs.ts';

describeWith([...NETWORK, 'socat', 'python3', 'ss'], `lifecycle (${PROGRAM})`, () => {
  let lab: Lab;
  let host: Namespace;
  beforeEach(async () => {
    lab = new Lab();
    host = await lab.namespace('life');
  });
  afterEach(() => lab?.close());

  const socketOf = (name: string) => join(SOCKET_DIRECTORY, `${name}.sock`);
  const hasLink = async (name: string) => (await host.run(['ip', 'link', 'show', name], { mayFail: true })).code === 0;
  const gone = (name: string) =>
    until(`the end of ${name}`, async () => !(await hasLink(name)) && !existsSync(socketOf(name)));
  /** Starts in the background. When it returns, the interface must be ready. */
  const background = async (name: string, env: Readonly<Record<string, string>> = {}) => {
    lab.owns(socketOf(name));
    return host.run([...commandOf(PROGRAM), name], { env, mayFail: true });
  };

  it('in the background: interface and socket exist when the command returns, and the socket has mode 0600', async () => {
    const name = lab.interfaceName();
    const { code, stdout, stderr } = await background(name);
    expect({ code, stdout, stderr }).toEqual({ code: 0, stdout: '', stderr: '' });
    expect(await hasLink(name)).toBe(true);
    expect(statSync(socketOf(name)).mode & 0o777).toBe(0o600);
    expect((await host.run(['wg', 'show', name])).stdout).toContain(`interface: ${name}`);
    expect((await host.run(['ip', '-o', 'link', 'show', name])).stdout).toMatch(/mtu 1420 /);
    unlinkSync(socketOf(name));
    await gone(name);
  });

  it('ends when its interface is deleted, and removes its socket', async () => {
    const name = lab.interfaceName();
    await background(name);
    await host.ip(`link del ${name}`);
    await gone(name);
  });

  it.each(['SIGTERM', 'SIGINT'] as const)('%s: ends with status 0 and removes interface and socket', async signal => {
    const device = await startDevice(lab, host);
    const { code } = await device.process!.stop(signal);
    expect(code).toBe(0);
    expect(await hasLink(device.name)).toBe(false);
    expect(existsSync(device.socket)).toBe(false);
  });

  it('a signal at the moment when the socket appears ends it like any later one', async () => {
    mkdirSync(SOCKET_DIRECTORY, { recursive: true });
    for (let i = 0; i < 20; i++) {
      const name = lab.interfaceName();
      lab.owns(socketOf(name));
      let appeared: () => void = () => {};
      const there = new Promise<void>(resolve => {
        appeared = resolve;
      });
      const watcher = watch(SOCKET_DIRECTORY, (_, file) => {
        if (file === `${name}.sock`) appeared();
      });
      try {
        const child = host.start([...commandOf(PROGRAM), '-f', name]);
        await Promise.race([there, child.exited]);
        const { code, signal } = await child.stop('SIGTERM');
        expect({ code, signal }, `attempt ${i}`).toEqual({ code: 0, signal: null });
        expect(existsSync(socketOf(name))).toBe(false);
      } finally {
        watcher.close();
      }
    }
  });

  it('replaces a socket without a listener', async () => {
    const name = lab.interfaceName();
    // A killed listener leaves such a socket.
    const child = host.start(['socat', `UNIX-LISTEN:${socketOf(name)}`, '-']);
    await until('the socket', () => existsSync(socketOf(name)));
    await child.stop('SIGKILL');
    expect(existsSync(socketOf(name))).toBe(true);
    const { code, stderr } = await background(name);
    expect({ code, stderr }).toEqual({ code: 0, stderr: '' });
    expect((await host.run(['wg', 'show', name])).stdout).toContain(name);
    await host.ip(`link del ${name}`);
    await gone(name);
  });

  it('a second one with the same name fails with a reason and leaves the first alone', async () => {
    const device = await startDevice(lab, host);
    const second = await background(device.name);
    expect(second.code).toBe(1);
    expect(second.stderr).toMatch(/exists already|in use|EBUSY/);
    expect(await device.show('interfaces').catch(() => device.wg('show', device.name))).toContain(device.name);
  });

  it.each([
    [
      'a name that is too long',
      ['much-too-long-for-a-name'],
      /too long for an interface name: 24 bytes, and Linux allows 15/,
    ],
    ['no name', [], /the argument INTERFACE is missing/],
    ['an unknown option', ['--fast', 'wg0'], /unknown option `--fast'/],
    ['an unknown backend', ['--backend=fast', 'wg0'], /--backend cannot be `fast'\nChoose from/],
    ['a name that is not a TUN', ['lo'], /not a TUN|EINVAL|Invalid/],
  ])('exits with status 1 and a message: %s', async (_what, args, message) => {
    for (const foreground of [[], ['-f']]) {
      const { code, stderr } = await host.run([...commandOf(PROGRAM), ...foreground, ...args], { mayFail: true });
      expect(code).toBe(1);
      expect(stderr).toMatch(message);
    }
  });

  it('WG_PROCESS_FOREGROUND=1 stays in the foreground', async () => {
    const name = lab.interfaceName();
    lab.owns(socketOf(name));
    const running = host.start([...commandOf(PROGRAM), name], { env: { WG_PROCESS_FOREGROUND: '1' } });
    await until('the socket', () => existsSync(socketOf(name)));
    expect(running.result()).toBeUndefined();
    expect((await running.stop()).code).toBe(0);
  });

  it('WG_TUN_FD: takes over an open TUN whatever name is given', async () => {
    const name = lab.interfaceName();
    lab.owns(socketOf(name));
    // A shell cannot create a TUN, so Python, which every Debian has anyway, hands one over.
    const script = `
import fcntl, os, struct, sys
fd = os.open('/dev/net/tun', os.O_RDWR)
fcntl.ioctl(fd, 0x400454ca, struct.pack('16sH22x', b'${name}', 0x5001))
os.dup2(fd, 7)
os.environ['WG_TUN_FD'] = '7'
os.execvp(sys.argv[1], sys.argv[1:])
`;
    const running = host.start(['python3', '-c', script, ...commandOf(PROGRAM), '-f', 'ignored']);
    await until('the socket', () => existsSync(socketOf(name)) || running.result() !== undefined);
    expect(running.output()).toBe('');
    const device = new Device(lab, host, name, PROGRAM, running);
    await device.set({ listenPort: 4000 });
    await device.up(['10.99.0.1/24']);
    expect(await device.show('listen-port')).toBe('4000');
    expect((await running.stop()).code).toBe(0);
  });

  it('LOG_LEVEL=verbose reports events, but never a key', async () => {
    const device = await startDevice(lab, host, PROGRAM, { env: { LOG_LEVEL: 'verbose' } });
    const key = (await run(['wg', 'genkey'])).stdout.trim();
    await device.set({ privateKey: key });
    await device.up([]);
    await until('a word of it', () => device.process!.output().includes('interface up'));
    const { stdout, stderr } = await device.process!.stop();
    expect(stdout + stderr).toMatch(new RegExp(`DEBUG: \\(${device.name}\\) `));
    expect(stdout + stderr).not.toContain(key);
    expect(stdout + stderr).not.toContain(Buffer.from(key, 'base64').toString('hex'));
  });

  it('a device that learns late that its interface is up listens when up() returns', async () => {
    const device = await startDevice(lab, host);
    await device.set({ listenPort: 4300 });
    process.kill(device.process!.pid, 'SIGSTOP');
    const go = setTimeout(() => process.kill(device.process!.pid, 'SIGCONT'), 300);
    try {
      await device.up([]);
      expect((await host.run(['ss', '-Hnul'])).stdout).toContain(':4300 ');
    } finally {
      clearTimeout(go);
      process.kill(device.process!.pid, 'SIGCONT');
    }
  });

  it('a port in use fails the request, and the device keeps the old one', async () => {
    const [one, two] = [await startDevice(lab, host), await startDevice(lab, host)];
    await one.set({ listenPort: 4100 });
    await two.set({ listenPort: 4200 });
    await one.up([]);
    await two.up([]);
    await expect(two.set({ listenPort: 4100 })).rejects.toThrow(/Address already in use/);
    expect(await two.show('listen-port')).toBe('4200');
  });
});
