/**
 * Clients of the control socket (src/daemon/uapi-server.ts) while the interface moves to another
 * process: a request takes effect in the process that answers it, or has no answer.
 */
import { existsSync, mkdtempSync, readdirSync, rmSync, statSync, unlinkSync } from 'node:fs';
import { createConnection, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest';
import { codedError } from '../../src/base/coded-error.ts';
import type { DeviceConfig } from '../../src/config/model.ts';
import { numericZones } from '../../src/config/zones.ts';
import { UapiServer } from '../../src/daemon/uapi-server.ts';
import { nativeBinding } from '../../src/io/native-binding.ts';
import { copyDescriptor, RightsListener } from '../../src/io/rights.ts';
import { HANG_MS } from '../support/patience.ts';

const get = 'get=1\n\n';

let folder: string;
let path: string;
let server: UapiServer;
let sockets: Socket[];
let configured: DeviceConfig[];
let unlinked: number;
let fault: Error | undefined;

function listen(taken?: { readonly fd: number; readonly removes: boolean; readonly inode: number }) {
  return UapiServer.listen({
    path,
    device: {
      configure: config => {
        if (fault) throw fault;
        configured.push(config);
      },
      status: () => {
        if (fault) throw fault;
        return { listenPort: 7, fwmark: 0, peers: [] };
      },
      counters: () => ({}),
    },
    zones: numericZones,
    onRefused: () => {},
    onUnlinked: () => unlinked++,
    ...taken,
  });
}

beforeEach(async () => {
  folder = mkdtempSync(join(tmpdir(), 'wgts-moving-'));
  path = join(folder, 'wg.sock');
  [sockets, configured, unlinked, fault] = [[], [], 0, undefined];
  server = await listen();
});

afterEach(() => {
  for (const socket of sockets) socket.destroy();
  server.close();
  rmSync(folder, { recursive: true });
});

async function connect(): Promise<Socket> {
  const socket = createConnection(path);
  sockets.push(socket);
  socket.on('error', () => {});
  await new Promise(resolve => socket.once('connect', resolve));
  return socket;
}

/** Returns everything up to the next blank line, or to the end. */
function answer(socket: Socket): Promise<string> {
  return new Promise(resolve => {
    let text = '';
    const add = (chunk: Buffer) => {
      text += chunk.toString();
      if (text.endsWith('\n\n')) done();
    };
    const done = () => {
      socket.off('data', add).off('close', done);
      resolve(text);
    };
    socket.on('data', add).on('close', done);
  });
}

async function ask(socket: Socket, request: string): Promise<string> {
  const answered = answer(socket);
  socket.write(request);
  return answered;
}

describe('while the interface may move to another process', () => {
  test('a client that is connected gets no answer, and gets it after resume()', async () => {
    const socket = await connect();
    expect(await ask(socket, get)).toContain('errno=0');
    server.pause();
    const answered = answer(socket);
    await new Promise(resolve => socket.write('set=1\nlisten_port=9\n\n', resolve));
    await sleep(50);
    expect(configured).toEqual([]);
    await server.resume();
    expect(await answered).toBe('errno=0\n\n');
    expect(configured).toEqual([{ listenPort: 9 }]);
  });

  test('what a client has sent ends with its connection if the other process goes on', async () => {
    const socket = await connect();
    expect(await ask(socket, get)).toContain('errno=0');
    server.pause();
    const answered = answer(socket);
    await new Promise(resolve => socket.write('set=1\nlisten_port=9\n\n', resolve));
    await sleep(50);
    server.release();
    expect(await answered).toBe('');
    expect(configured).toEqual([]);
  });

  test('a request that was already read is refused with EBUSY', async () => {
    fault = codedError('EBUSY', 'it moves');
    const socket = await connect();
    expect(await ask(socket, get)).toBe('errno=-16\n\n');
    expect(await ask(socket, 'set=1\nlisten_port=9\n\n')).toBe('errno=-16\n\n');
  });
});

test('a control socket listens before it has its path', async () => {
  server.close();
  const bound = vi.spyOn(nativeBinding(), 'rightsListen');
  server = await listen();
  expect(bound.mock.calls.map(([at]) => at)).toEqual([expect.not.stringMatching(`^${path}$`)]);
  expect(await ask(await connect(), get)).toContain('errno=0');
  expect(readdirSync(folder, { recursive: true })).toEqual(expect.arrayContaining(['handover', 'wg.sock']));
  expect(readdirSync(join(folder, 'handover'))).toEqual([]);
  bound.mockRestore();
});

describe('a control socket that replaced a stale one', () => {
  /** Leaves the socket of a dead process, and begins anew at its path. */
  async function replace(): Promise<void> {
    server.release();
    if (!existsSync(path)) new RightsListener(path).close();
    server = await listen();
  }

  test('is made again once if a client of the stale one removes it', async () => {
    await replace();
    unlinkSync(path);
    await expect.poll(() => existsSync(path)).toBe(true);
    expect(await ask(await connect(), get)).toContain('errno=0');
    expect(statSync(path).mode & 0o777).toBe(0o600);
    expect(server.given.inode).toBe(statSync(path).ino);
    expect(unlinked).toBe(0);
    unlinkSync(path);
    await expect.poll(() => unlinked, { timeout: HANG_MS }).toBeGreaterThan(0);
  });

  test('is not made again later, nor beside the socket of another program', async () => {
    const now = vi.spyOn(performance, 'now');
    await replace();
    now.mockReturnValue(performance.now() + 1001);
    unlinkSync(path);
    await expect.poll(() => unlinked, { timeout: HANG_MS }).toBeGreaterThan(0);
    now.mockRestore();
    await replace();
    unlinked = 0;
    unlinkSync(path);
    const other = new RightsListener(path);
    await expect.poll(() => unlinked, { timeout: HANG_MS }).toBeGreaterThan(0);
    other.close();
  });
});

describe('a control socket that was taken over', () => {
  /** Goes on with the socket in another server, as another process would. */
  async function takeOver(): Promise<UapiServer> {
    const { inode } = server.given;
    const fd = copyDescriptor(server.given.descriptor);
    server.release();
    return listen({ fd, removes: true, inode });
  }

  test('and removed before that is reported as removed', async () => {
    const next = takeOver();
    unlinkSync(path);
    await expect.poll(() => unlinked, { timeout: HANG_MS }).toBeGreaterThan(0);
    (await next).close();
  });

  test('and is still there is served, and removed at the end', async () => {
    const next = await takeOver();
    expect(await ask(await connect(), get)).toContain('errno=0');
    expect(unlinked).toBe(0);
    next.close();
    expect(existsSync(path)).toBe(false);
  });
});
