/** The control socket (src/daemon/uapi-server.ts) limits what clients can occupy. */
import { mkdtempSync, rmSync } from 'node:fs';
import { createConnection, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest';
import type { DeviceConfig, DeviceStatus, PeerStatus } from '../../src/config/model.ts';
import { DEFAULT_UAPI_LIMITS } from '../../src/config/uapi.ts';
import { numericZones } from '../../src/config/zones.ts';
import { UapiServer } from '../../src/daemon/uapi-server.ts';
import { HANG_MS } from '../support/patience.ts';

let folder: string;
let server: UapiServer;
let sockets: Socket[];
let refused: string[];
let configured: DeviceConfig[];
/**
 * The answers of the device to `get`: each a separate copy of its secrets, as the port requires.
 */
let given: DeviceStatus[];
let privateKey: Uint8Array | undefined;
let peers: PeerStatus[];

beforeEach(async () => {
  folder = mkdtempSync(join(tmpdir(), 'wgts-uapi-'));
  [sockets, refused, configured, given, peers, privateKey] = [[], [], [], [], [], undefined];
  server = await UapiServer.listen({
    path: join(folder, 'wg.sock'),
    device: {
      configure: config => configured.push(config),
      status: () => {
        const status = { listenPort: 7, fwmark: 0, peers, ...(privateKey && { privateKey: privateKey.slice() }) };
        given.push(status);
        return status;
      },
      counters: () => ({}),
    },
    zones: numericZones,
    onRefused: message => refused.push(message),
    onUnlinked: () => {},
  });
});

afterEach(() => {
  for (const socket of sockets) socket.destroy();
  server.close();
  rmSync(folder, { recursive: true });
});

async function connect(): Promise<Socket> {
  const socket = createConnection(join(folder, 'wg.sock'));
  sockets.push(socket);
  socket.on('error', () => {});
  await new Promise(resolve => socket.once('connect', resolve));
  return socket;
}

/** Returns everything up to the answer's blank line, or to the end. */
function answer(socket: Socket): Promise<string> {
  return new Promise(resolve => {
    let text = '';
    socket.on('data', chunk => {
      text += chunk.toString();
      if (text.endsWith('\n\n')) resolve(text);
    });
    socket.on('close', () => resolve(text));
  });
}

/** Sends a request and returns the answer. May be called repeatedly for one connection. */
async function ask(socket: Socket, request: string): Promise<string> {
  const answered = answer(socket);
  socket.write(request);
  return answered;
}

describe('the time of silence', () => {
  test('grows until the client sends something', async () => {
    const socket = await connect();
    expect(server.quietFor()).toBe(Number.POSITIVE_INFINITY);
    await ask(socket, 'get=1\n\n');
    expect(server.quietFor()).toBeLessThan(10_000);
  });

  test('starts again with each piece of a long answer', async () => {
    // the clock advances only where this test does it
    vi.useFakeTimers({ toFake: ['performance'] });
    try {
      const counts = { lastHandshakeSeconds: 0, lastHandshakeNanoseconds: 0, rxBytes: 0, txBytes: 0 };
      const peer = { publicKey: new Uint8Array(32), persistentKeepalive: 0, allowedIps: [], ...counts };
      // larger than a socket buffer, so that pieces remain when it is full
      peers = Array.from({ length: 20_000 }, () => peer);
      const socket = await connect();
      socket.pause();
      socket.write('get=1\n\n');
      const quiet = () => {
        vi.advanceTimersByTime(1000);
        return given.length > 0 && server.quietFor();
      };
      await expect.poll(quiet, { interval: 1, timeout: HANG_MS }).toBeGreaterThanOrEqual(20_000);
      const answered = answer(socket);
      socket.resume();
      expect(await answered).toContain('errno=0');
      expect(server.quietFor()).toBe(0);
    } finally {
      vi.useRealTimers();
    }
  });
});

describe('connections above the limit', () => {
  test('end the longest silent ones, and active clients are served', async () => {
    const first = await connect();
    const speaker = await connect();
    for (let i = 0; i < 62; i++) await connect();
    expect(await ask(speaker, 'get=1\n\n')).toContain('listen_port=7');
    const ended = new Promise(resolve => first.once('close', resolve));
    for (let i = 0; i < 40; i++) expect(await ask(await connect(), 'get=1\n\n')).toContain('errno=0');
    first.resume();
    await ended;
    expect(await ask(speaker, 'get=1\n\n')).toContain('errno=0');
  });
});

describe('unfinished requests', () => {
  const peer = `public_key=${'ab'.repeat(32)}\n`;
  const lines = (characters: number) => 'allowed_ip=10.0.0.0/8\n'.repeat(Math.ceil(characters / 22));

  test('share the limit of a single request, and the one that exceeds it is refused with E2BIG', async () => {
    const each = DEFAULT_UAPI_LIMITS.requestLength / 4 - 1000;
    const held = [];
    for (let i = 0; i < 4; i++) {
      const socket = await connect();
      held.push(socket);
      await new Promise(resolve => socket.write(`set=1\n${peer}${lines(each)}`, resolve));
    }
    const late = await connect();
    expect(await ask(late, `set=1\n${peer}${lines(each)}`)).toBe('errno=-7\n\n');
    expect(refused.at(-1)).toMatch(/more than 16777216 characters of unfinished requests at once/);
    // the other requests are not affected
    expect(await ask(held[0]!, '\n')).toBe('errno=0\n\n');
    expect(configured).toHaveLength(1);
    expect(await ask(await connect(), 'get=1\n\n')).toContain('errno=0');
  });

  test('a request above the limit gets an answer, not a reset, however much more the client writes', async () => {
    const socket = await connect();
    let failed: Error | undefined;
    socket.on('error', error => {
      failed = error;
    });
    const answered = answer(socket);
    const block = Buffer.from(lines(1 << 20));
    socket.write(`set=1\n${peer}`);
    for (let sent = 0; sent < 3 * DEFAULT_UAPI_LIMITS.requestLength; sent += block.length)
      await new Promise(resolve => socket.write(block, resolve));
    socket.end('\n');
    expect(await answered).toBe('errno=-7\n\n');
    expect(failed).toBeUndefined();
    expect(configured).toEqual([]);
  });

  test('a small request is accepted while there is no room for large ones', async () => {
    const holder = await connect();
    const most = DEFAULT_UAPI_LIMITS.requestLength - 1000;
    await new Promise(resolve => holder.write(`set=1\n${peer}${lines(most - 1000)}`, resolve));
    expect(await ask(await connect(), `set=1\n${peer}${lines(2000)}\n`)).toBe('errno=0\n\n');
    const part = await connect();
    await new Promise(resolve => part.write(`set=1\n${peer}${lines(2000)}`, resolve));
    expect(await ask(part, '\n')).toBe('errno=0\n\n');
  });

  test('an incomplete large request is refused with ETIMEDOUT; a small one may wait', async () => {
    vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout'] });
    try {
      const [large, small] = [await connect(), await connect()];
      const answered = answer(large);
      await new Promise(resolve => small.write('set=1\n', resolve));
      await new Promise(resolve => large.write(`set=1\n${peer}${lines(1 << 20)}`, resolve));
      // once this answer arrives, the server has received all earlier data
      expect(await ask(await connect(), 'get=1\n\n')).toContain('errno=0');
      vi.advanceTimersByTime(29_000);
      large.write(lines(100));
      expect(await ask(await connect(), 'get=1\n\n')).toContain('errno=0');
      vi.advanceTimersByTime(2_000);
      expect(await answered).toBe('errno=-110\n\n');
      expect(await ask(small, '\n')).toBe('errno=0\n\n');
    } finally {
      vi.useRealTimers();
    }
  });

  test('while a request of 100,000 allowed IPs is parsed, other clients get answers', async () => {
    const text = Array.from(
      { length: 100_000 },
      (_, i) => `allowed_ip=10.${i >> 16}.${(i >> 8) & 255}.${i & 255}/32\n`,
    );
    const [large, other] = [await connect(), await connect()];
    let isSet = false;
    const set = ask(large, `set=1\n${peer}${text.join('')}\n`).then(errno => {
      isSet = true;
      return errno;
    });
    let between = 0;
    while (!isSet) {
      expect(await ask(other, 'counters=1\n\n')).toBe('errno=0\n\n');
      other.removeAllListeners('data').removeAllListeners('close');
      if (!isSet) between++;
    }
    expect(await set).toBe('errno=0\n\n');
    expect(configured[0]?.peers?.[0]?.allowedIps).toHaveLength(100_000);
    expect(between).toBeGreaterThan(10);
  });
});

describe('invalid requests', () => {
  test.each([
    ['binary zeros', Buffer.alloc(5000), -90],
    ['a few binary zeros', Buffer.from('\0\0\0\n'), -71],
    ['invalid UTF-8 in a set', Buffer.from('set=1\n\xff\xfe=1\n\n', 'latin1'), -22],
    ['invalid UTF-8 as a value', Buffer.from('set=1\nlisten_port=\xc3\x28\n\n', 'latin1'), -22],
    ['a line without end', Buffer.alloc(1 << 20, 0x41), -90],
  ])('%s: an errno', async (_what, bytes, errno) => {
    const socket = await connect();
    const answered = answer(socket);
    socket.end(bytes);
    expect(await answered).toBe(`errno=${errno}\n\n`);
    expect(configured).toEqual([]);
  });
});

describe('unread answers', () => {
  const counts = { lastHandshakeSeconds: 0, lastHandshakeNanoseconds: 0, rxBytes: 0, txBytes: 0 };
  const crowd = () =>
    Array.from({ length: 20_000 }, () => ({
      publicKey: new Uint8Array(32),
      persistentKeepalive: 0,
      allowedIps: [],
      ...counts,
    }));

  test('are kept for two clients at a time, and a client that reads gets its answer', async () => {
    peers = crowd();
    const lazy = [];
    for (let i = 0; i < 12; i++) {
      const socket = await connect();
      socket.pause();
      socket.write('get=1\n\n'.repeat(50));
      lazy.push(socket);
    }
    await expect.poll(() => given.length).toBe(2);
    // no third snapshot
    await sleep(300);
    expect(given.length).toBe(2);
    // the stuck ones make room, one after another
    expect(await ask(await connect(), 'get=1\n\n')).toContain('errno=0');
    expect(given.length).toBeLessThanOrEqual(14);
  });

  test('of a client that reads nothing for 10 s are dropped, with its connection', async () => {
    peers = crowd();
    vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout'] });
    try {
      const socket = await connect();
      const ended = new Promise(resolve => socket.once('close', resolve));
      socket.pause();
      socket.write('get=1\n\n');
      while (given.length === 0) expect(await ask(await connect(), 'counters=1\n\n')).toContain('errno=0');
      for (let i = 0; i < 20; i++) expect(await ask(await connect(), 'counters=1\n\n')).toContain('errno=0');
      vi.advanceTimersByTime(11_000);
      socket.resume();
      await ended;
    } finally {
      vi.useRealTimers();
    }
  });
});

describe('secrets', () => {
  const hex = 'c7'.repeat(32);

  test('of a status are overwritten after it is sent', async () => {
    privateKey = new Uint8Array(32).fill(0x77);
    expect(await ask(await connect(), 'get=1\n\n')).toContain(`private_key=${'77'.repeat(32)}\n`);
    expect(given[0]!.privateKey).toEqual(new Uint8Array(32));
  });

  test('of a configuration are overwritten once it is applied', async () => {
    const set = `set=1\nprivate_key=${hex}\npublic_key=${'ab'.repeat(32)}\npreshared_key=${hex}\n\n`;
    expect(await ask(await connect(), set)).toBe('errno=0\n\n');
    expect(configured).toHaveLength(1);
    expect(configured[0]!.privateKey).toEqual(new Uint8Array(32));
    expect(configured[0]!.peers![0]!.presharedKey).toEqual(new Uint8Array(32));
  });
});
