/**
 * Which backend --backend takes on this machine, and a large file synced under traffic.
 *
 * @module-tag slow
 */
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, it } from 'vitest';
import { HANG_MS } from '../support/patience.ts';
import { printed, sleep, until } from './command.ts';
import { commandOf, ROOT, SOCKET_DIRECTORY } from './device.ts';
import { presharedKey } from './keys.ts';
import { Lab, type Namespace } from './lab.ts';
import { describeWith, NETWORK } from './needs.ts';
import { INNER_B, tunnelPair } from './pair.ts';
import { mustPing, ping } from './traffic.ts';

const WGTS = [process.execPath, join(ROOT, 'dist/program/wgts.cjs')];
const PEERS = 1000;

describeWith(NETWORK, '--backend', () => {
  let lab: Lab;
  let host: Namespace;
  let name: string;
  /** The backend that auto takes here, according to `wgts doctor`. */
  let here: { readonly kind: string; readonly reason: string };
  beforeEach(async () => {
    lab = new Lab();
    host = await lab.namespace('choice');
    name = lab.interfaceName();
    lab.owns(join(SOCKET_DIRECTORY, `${name}.sock`));
    const { stdout } = await host.run([...WGTS, 'doctor', '--json']);
    here = (JSON.parse(stdout) as { backend: typeof here }).backend;
  });
  afterEach(() => lab?.close());

  const make = (...args: string[]) =>
    host.run([...commandOf('ours'), ...args, name], { mayFail: true, timeout: HANG_MS });
  const kindOf = async () =>
    /^\s+(wireguard|tun) /m.exec((await host.run(['ip', '-d', 'link', 'show', name])).stdout)?.[1];

  it('auto takes the backend that the doctor names, wg can configure it, and deleting the link ends it', async () => {
    const running = host.start([...commandOf('ours'), '--backend=auto', '-f', name], { env: { LOG_LEVEL: 'verbose' } });
    await until('the interface', async () => (await host.run(['wg', 'show', name], { mayFail: true })).code === 0);
    await printed(running, `backend ${here.kind}: `);
    expect(await kindOf()).toBe(here.kind === 'kernel' ? 'wireguard' : 'tun');
    await host.run(['wg', 'set', name, 'listen-port', '4321']);
    expect((await host.run([...WGTS, 'show', name, 'listen-port'])).stdout).toBe('4321\n');
    await host.ip(`link del ${name}`);
    expect((await running.exited).code).toBe(0);
  });

  it('kernel takes the kernel’s WireGuard or explains what to do', async () => {
    const { code, stderr } = await make('--backend=kernel');
    if (here.kind === 'kernel') {
      expect({ code, stderr }).toEqual({ code: 0, stderr: '' });
      expect(await kindOf()).toBe('wireguard');
    } else {
      expect(code).toBe(1);
      expect(stderr).toMatch(/^wireguard-ts: backend kernel: .*; .*--backend=auto\n$/);
      expect(existsSync(join(SOCKET_DIRECTORY, `${name}.sock`))).toBe(false);
    }
  });

  it('the default is userspace, as wg-quick expects, and a signal during the start leaves nothing', async () => {
    for (let wait = 60; wait <= 200; wait += 10) {
      const running = host.start([...commandOf('ours'), '-f', '--backend=auto', name]);
      await sleep(wait);
      expect((await running.stop()).signal, `after ${wait} ms`).not.toBe('SIGKILL');
      expect((await host.run(['ip', 'link', 'show', name], { mayFail: true })).code, `after ${wait} ms`).toBe(1);
    }
    expect((await make()).code).toBe(0);
    expect(await kindOf()).toBe('tun');
    await host.ip(`link del ${name}`);
  });

  it(`syncconf of one change among ${PEERS} peers under traffic loses no packet`, async () => {
    const { a } = await tunnelPair({ lab, a: 'ours', b: 'ours' });
    const wgts = (...args: string[]) => a.namespace.run([...WGTS, ...args]);
    await mustPing(a.namespace, INNER_B[4], { count: 1 });
    const others = Array.from({ length: PEERS - 1 }, (_, i) => {
      const list = Array.from({ length: 10 }, (__, j) => `172.${16 + (i >> 8)}.${i & 255}.${j}/32`);
      // Any 32 bytes are a public key.
      return `\n[Peer]\nPublicKey = ${presharedKey()}\nAllowedIPs = ${list.join(', ')}\n`;
    });
    const whole = `${(await wgts('showconf', a.device.name)).stdout}${others.join('')}`;
    const file = lab.file(whole);
    // Changes the very peer that the packets go to, and back.
    const changed = lab.file(whole.replace(/AllowedIPs = /, 'AllowedIPs = 10.99.0.0/16, '));
    const before = performance.now();
    await wgts('setconf', a.device.name, file);
    const set = performance.now() - before;
    const milliseconds: number[] = [];
    const traffic = ping(a.namespace, INNER_B[4], { count: 1500, interval: 0.002 });
    for (let i = 0; i < 8; i++) {
      const start = performance.now();
      await wgts('syncconf', a.device.name, i % 2 ? file : changed);
      milliseconds.push(Math.round(performance.now() - start));
    }
    const { sent, received } = await traffic;
    console.log(JSON.stringify({ setconf: Math.round(set), syncconf: milliseconds, sent, received }));
    expect(received).toBe(sent);
    expect((await wgts('show', a.device.name, 'allowed-ips')).stdout).not.toContain('10.99.0.0/16');
  });
});
