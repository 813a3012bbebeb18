/**
 * Clients of the control socket that try to use up the daemon's memory or time get an errno and
 * leave nothing behind.
 */
import { existsSync, mkdirSync, statSync, unlinkSync } from 'node:fs';
import { connect, type Socket } from 'node:net';
import { dirname } from 'node:path';
import { afterEach, beforeEach, expect, it } from 'vitest';
import { numericZones } from '../../src/config/zones.ts';
import { socketState, UapiClient } from '../../src/daemon/uapi-client.ts';
import { uapiSocketPath } from '../../src/daemon/uapi-socket.ts';
import { RightsListener } from '../../src/io/rights.ts';
import { HANG_MS } from '../support/patience.ts';
import { printed, sleep, until } from './command.ts';
import { type Device, startDevice } from './device.ts';
import { Lab } from './lab.ts';
import { describeWith, NETWORK } from './needs.ts';
import { errnoOf, uapi } from './uapi.ts';

const MEBIBYTE = 1 << 20;
const LIMIT = 16 * MEBIBYTE;
const BEGIN = `set=1\npublic_key=${'ab'.repeat(32)}\n`;
const LINE = 'allowed_ip=10.1.2.3/32\n';

describeWith(NETWORK, 'the control socket', () => {
  let lab: Lab;
  let device: Device;
  let sockets: Socket[];
  beforeEach(async () => {
    sockets = [];
    lab = new Lab();
    device = await startDevice(lab, await lab.namespace('control'));
  });
  afterEach(() => {
    for (const socket of sockets) socket.destroy();
    return lab?.close();
  });

  const open = () =>
    new Promise<Socket>((resolve, reject) => {
      const socket = connect(device.socket, () => resolve(socket));
      sockets.push(socket);
      socket.on('error', reject);
      socket.resume();
    });
  const written = (socket: Socket, text: string) => new Promise(resolve => socket.write(text, resolve));

  it('eight unfinished requests of nearly 16 MiB cost no more memory than one, which is freed', async () => {
    // The first request has one-time costs.
    await uapi(device.socket, `${BEGIN}${LINE.repeat(1000)}\n`);
    const before = await device.residentBytes();
    const unfinished = `${BEGIN}${LINE.repeat(Math.floor(LIMIT / LINE.length) - 100)}`;
    const clients = await Promise.all(Array.from({ length: 8 }, open));
    await Promise.all(clients.map(client => written(client, unfinished)));
    // Other clients are served in the meantime.
    expect(errnoOf(await uapi(device.socket, 'get=1\n\n'))).toBe(0);
    expect((await device.residentBytes()) - before).toBeLessThan(64 * MEBIBYTE);
    for (const client of clients) client.destroy();
    await until('the memory to be given back', async () => (await device.residentBytes()) - before < 64 * MEBIBYTE);
    expect(errnoOf(await uapi(device.socket, `${BEGIN}${LINE}\n`))).toBe(0);
  });

  it('answers others while 64 requests trickle in and many never end', async () => {
    const before = await device.residentBytes();
    const clients = await Promise.all(Array.from({ length: 63 }, open));
    for (let round = 0; round < 20; round++) {
      for (const client of clients) client.write(round === 0 ? BEGIN : LINE);
      await sleep(10);
    }
    expect(errnoOf(await uapi(device.socket, `${BEGIN}${LINE}\n`))).toBe(0);
    expect(await device.peers()).toHaveLength(1);
    expect((await device.residentBytes()) - before).toBeLessThan(64 * MEBIBYTE);
  });

  it('accepts 100,000 allowed IPs and shows all of them', async () => {
    const prefixes = Array.from(
      { length: 100_000 },
      (_, i) => `allowed_ip=2001:db8:${(i >> 8).toString(16)}:${(i & 255).toString(16)}::/64\n`,
    );
    const answered = uapi(device.socket, `${BEGIN}${prefixes.join('')}\n`, { timeout: HANG_MS });
    expect(errnoOf(await answered)).toBe(0);
    const shown = await uapi(device.socket, 'get=1\n\n', { timeout: HANG_MS });
    expect(shown.match(/^allowed_ip=/gm)).toHaveLength(100_000);
  });
});

describeWith(NETWORK, 'a socket that a dead process left', () => {
  it.each<[string, (name: string) => Promise<unknown>]>([
    ['a query of its state', name => socketState(name)],
    ['a request', name => new UapiClient(name, numericZones).get().catch(error => error)],
  ])('%s removes it, but not the one that has replaced it', async (_name, ask) => {
    const lab = new Lab();
    try {
      const name = lab.interfaceName();
      const path = uapiSocketPath(name);
      mkdirSync(dirname(path), { recursive: true });
      new RightsListener(path).close();
      await ask(name);
      expect(existsSync(path)).toBe(false);
      new RightsListener(path).close();
      const refused = ask(name);
      unlinkSync(path);
      const next = new RightsListener(path);
      await refused;
      expect(existsSync(path)).toBe(true);
      next.close();
      unlinkSync(path);
    } finally {
      await lab.close();
    }
  });

  it('is replaced by a socket that a confined device makes again if such a client removes it', async () => {
    const lab = new Lab();
    try {
      const host = await lab.namespace('again');
      // the device makes it again only in its first second, which a busy machine may miss
      for (let attempt = 0; ; attempt++) {
        const name = lab.interfaceName();
        const path = uapiSocketPath(name);
        mkdirSync(dirname(path), { recursive: true });
        new RightsListener(path).close();
        const device = await startDevice(lab, host, 'ours', { name, env: { LOG_LEVEL: 'verbose' } });
        await printed(device.process!, 'confined: ');
        unlinkSync(path);
        await until('the socket or the end', () => existsSync(path) || device.process!.result());
        if (device.process!.result() === undefined || attempt === 4) {
          expect(errnoOf(await uapi(device.socket, 'get=1\n\n'))).toBe(0);
          expect(statSync(path).mode & 0o777).toBe(0o600);
          return;
        }
      }
    } finally {
      await lab.close();
    }
  });
});
