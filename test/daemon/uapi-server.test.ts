/** The control socket (src/daemon/uapi-server.ts) against clients that hold on to it. */
import { mkdtempSync, rmSync } from 'node:fs';
import { createConnection, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import type { DeviceConfig, PeerStatus } from '../../src/config/model.ts';
import { DEFAULT_UAPI_LIMITS } from '../../src/config/uapi.ts';
import { numericZones } from '../../src/config/zones.ts';
import { UapiServer } from '../../src/daemon/uapi-server.ts';

let folder: string;
let server: UapiServer;
let sockets: Socket[];
let refused: string[];
let configured: DeviceConfig[];
let peers: PeerStatus[];

beforeEach(async () => {
  folder = mkdtempSync(join(tmpdir(), 'wgts-uapi-'));
  [sockets, refused, configured, peers] = [[], [], [], []];
  server = await UapiServer.listen({
    path: join(folder, 'wg.sock'),
    device: {
      configure: config => configured.push(config),
      status: () => ({ listenPort: 7, fwmark: 0, peers }),
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

/** All that comes until the answer's blank line, or the end. */
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

async function ask(socket: Socket, request: string): Promise<string> {
  const answered = answer(socket);
  socket.write(request);
  return answered;
}

describe('how long it has been quiet', () => {
  test('is for ever until somebody says something', async () => {
    const socket = await connect();
    expect(server.quietFor()).toBe(Number.POSITIVE_INFINITY);
    await ask(socket, 'get=1\n\n');
    expect(server.quietFor()).toBeLessThan(10_000);
  });

  test('begins anew with each piece of a long answer', async () => {
    const counts = { lastHandshakeSeconds: 0, lastHandshakeNanoseconds: 0, rxBytes: 0, txBytes: 0 };
    const peer = { publicKey: new Uint8Array(32), persistentKeepalive: 0, allowedIps: [], ...counts };
    peers = Array.from({ length: 20_000 }, () => peer);
    const socket = await connect();
    socket.pause();
    socket.write('get=1\n\n');
    await sleep(300);
    const waited = server.quietFor();
    expect(waited).toBeGreaterThan(100);
    const answered = answer(socket);
    socket.resume();
    expect(await answered).toContain('errno=0');
    expect(server.quietFor()).toBeLessThan(waited);
  });
});

describe('more connections than there may be', () => {
  test('end those that have been silent for longest, and everyone who speaks is served', async () => {
    const first = await connect();
    const speaker = await connect();
    for (let i = 0; i < 62; i++) await connect();
    expect(await ask(speaker, 'get=1\n\n')).toContain('listen_port=7');
    const ended = new Promise(resolve => first.once('close', resolve));
    for (let i = 0; i < 40; i++) expect(await ask(await connect(), 'get=1\n\n')).toContain('errno=0');
    first.resume();
    await ended;
    expect(await ask(speaker, 'get=1\n\n')).toContain('errno=0');
  }, 20_000);
});

describe('unfinished requests', () => {
  const peer = `public_key=${'ab'.repeat(32)}\n`;
  const lines = (characters: number) => 'allowed_ip=10.0.0.0/8\n'.repeat(Math.ceil(characters / 22));

  test('may be as long together as one alone, and the one that goes too far is refused with E2BIG', async () => {
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
    // the others lose nothing
    expect(await ask(held[0]!, '\n')).toBe('errno=0\n\n');
    expect(configured).toHaveLength(1);
    expect(await ask(await connect(), 'get=1\n\n')).toContain('errno=0');
  }, 60_000);
});
