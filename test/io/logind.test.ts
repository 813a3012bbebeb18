/**
 * The one signal of logind: who may send it, and what a bus may send instead. The last test uses a
 * real dbus-daemon.
 */
import { spawn } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { connect, createServer, type Server, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { busSocket, watchSleep } from '../../src/io/logind.ts';
import { testWith } from '../netns/needs.ts';
import { dbusMessage } from '../support/dbus-peer.ts';
import { HANG_MS } from '../support/patience.ts';

const BUS = 'org.freedesktop.DBus';
const LOGIND = 'org.freedesktop.login1';
const MANAGER = 'org.freedesktop.login1.Manager';
const signal = (sender: string, isAhead: boolean, isBig = false) =>
  dbusMessage({
    type: 4,
    path: '/org/freedesktop/login1',
    interface: MANAGER,
    member: 'PrepareForSleep',
    sender,
    body: [isAhead],
    isBig,
  });
const owner = (name: string) => dbusMessage({ type: 2, replySerial: 4, sender: BUS, body: [name] });

let directory: string;
let server: Server | undefined;
let stop: () => void = () => {};
beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), 'wireguard-bus-'));
});
afterEach(() => {
  stop();
  server?.close();
  server = undefined;
  rmSync(directory, { recursive: true, force: true });
});

interface Heard {
  readonly events: (boolean | string)[];
  /** Resolves once there are so many events. */
  readonly until: (count: number) => Promise<void>;
}

function listen(path: string): Heard {
  const events: (boolean | string)[] = [];
  let check = () => {};
  const add = (event: boolean | string) => {
    events.push(event);
    check();
  };
  stop = watchSleep({ onSleep: add, onEnd: add }, path);
  return {
    events,
    until: count =>
      new Promise((resolve, reject) => {
        const late = setTimeout(() => reject(new Error(`heard only ${JSON.stringify(events)}`)), HANG_MS);
        check = () => {
          if (events.length < count) return;
          clearTimeout(late);
          resolve();
        };
        check();
      }),
  };
}

/** A bus that accepts everybody and then sends what the test says. */
async function scripted(answer: (socket: Socket) => void, greeting = 'OK 0123\r\n'): Promise<Heard> {
  const path = join(directory, 'bus');
  server = createServer(socket => {
    socket.on('error', () => {});
    let before = '';
    socket.on('data', bytes => {
      const seen = before;
      before += bytes.toString('latin1');
      if (!seen.includes('AUTH') && before.includes('\r\n')) socket.write(greeting);
      // the last of the calls
      if (!seen.includes('GetNameOwner') && before.includes('GetNameOwner')) answer(socket);
    });
  });
  await new Promise<void>(resolve => server!.listen(path, resolve));
  return listen(path);
}

test('logind reports that sleep is ahead, and that it is over', async () => {
  const heard = await scripted(socket => {
    socket.write(Buffer.concat([owner(':1.5'), signal(':1.5', true)]));
    socket.write(signal(':1.5', false, true));
  });
  await heard.until(2);
  expect(heard.events).toEqual([true, false]);
});

test('messages may arrive in any pieces', async () => {
  const heard = await scripted(socket => {
    const all = Buffer.concat([owner(':1.5'), signal(':1.5', true), signal(':1.5', false)]);
    const next = (at: number) => {
      if (at < all.length) socket.write(all.subarray(at, at + 7), () => setImmediate(next, at + 7));
    };
    next(0);
  });
  await heard.until(2);
  expect(heard.events).toEqual([true, false]);
});

test('a signal of another sender is ignored, also before and after logind has a name', async () => {
  const changed = (to: string, sender: string) =>
    dbusMessage({
      type: 4,
      path: '/org/freedesktop/DBus',
      interface: BUS,
      member: 'NameOwnerChanged',
      sender,
      body: [LOGIND, '', to],
    });
  const heard = await scripted(socket => {
    socket.write(Buffer.concat([signal(':1.5', true), owner(':1.5'), signal(':1.6', true)]));
    // another client claims to be the bus
    socket.write(Buffer.concat([changed(':1.6', ':1.6'), signal(':1.6', true)]));
    socket.write(Buffer.concat([changed('', BUS), signal(':1.5', true), changed(':1.9', BUS), signal(':1.9', false)]));
  });
  await heard.until(1);
  expect(heard.events).toEqual([false]);
});

/** A signal that any local user may send to us. */
const foreign = (body: readonly (string | number)[]) =>
  dbusMessage({ type: 4, path: '/x', interface: 'x.y', member: 'Z', sender: ':1.66', body });
const badFields = foreign([]);
badFields.writeUInt32LE(9999, 20);
const oddField = foreign([]);
oddField[18] = 'v'.charCodeAt(0);

test.each<[string, Buffer]>([
  ['fields that end nowhere', badFields],
  ['a header field of another type', oddField],
  ['a body above 64 KiB', foreign(['x'.repeat(1 << 16)])],
  ['a body of megabytes', foreign(['x'.repeat(5 << 20)])],
])('a foreign message with %s is skipped', async (_, message) => {
  const heard = await scripted(socket => {
    socket.write(Buffer.concat([message, owner(':1.5'), message, signal(':1.5', true)]));
    socket.write(Buffer.concat([message, message, signal(':1.5', false)]));
  });
  await heard.until(2);
  expect(heard.events).toEqual([true, false]);
});

test('a flood of foreign messages pauses the reading, and loses no signal of logind', async () => {
  let sent = 0;
  let accepted = 0;
  const flood = Buffer.concat(Array.from({ length: 64 }, () => foreign(['x'.repeat(1 << 15)])));
  const heard = await scripted(socket => {
    socket.write(Buffer.concat([owner(':1.5'), signal(':1.5', true)]));
    for (let i = 0; i < 4; i++) {
      sent++;
      socket.write(flood, () => accepted++);
    }
    socket.write(signal(':1.5', false));
  });
  await heard.until(1);
  // an unread socket takes in less than this
  await new Promise(resolve => setTimeout(resolve, 300));
  expect(accepted).toBeLessThan(sent);
  await heard.until(2);
  expect(heard.events).toEqual([true, false]);
});

type Broken = readonly [string, (socket: Socket) => void, string | undefined, string | RegExp];
test.each<Broken>([
  ['refuses', () => {}, 'REJECTED EXTERNAL\r\n', 'the bus refuses this process'],
  ['greets without an end', () => {}, 'x'.repeat(2000), 'the bus refuses this process'],
  ['closes', (socket: Socket) => void socket.end(), undefined, 'the bus closed the connection'],
  [
    'sends something else',
    (socket: Socket) => void socket.write('HTTP/1.1 400 Bad Request'),
    undefined,
    'not a message of D-Bus',
  ],
  [
    'announces four gigabytes',
    (socket: Socket) => void socket.write(Buffer.from('6c010001ffffffff01000000ffffffff', 'hex')),
    undefined,
    /^a message of \d+ bytes$/,
  ],
])('a bus that %s ends the watch with one line and nothing else', async (_, answer, greeting, reason) => {
  const heard = await scripted(answer, greeting);
  await heard.until(1);
  expect(heard.events).toEqual([typeof reason === 'string' ? reason : expect.stringMatching(reason)]);
});

test('without a bus there is one reason, and no address without a socket is tried', async () => {
  const heard = listen(join(directory, 'none'));
  await heard.until(1);
  expect(heard.events).toEqual([expect.stringContaining('ENOENT')]);
  watchSleep({ onSleep: () => {}, onEnd: reason => expect.fail(reason) }, busSocket('tcp:host=localhost'))();
});

test('the address of the bus is read as libdbus reads it', () => {
  expect(busSocket('')).toBe('/run/dbus/system_bus_socket');
  expect(busSocket('unix:path=/a%20b,guid=00')).toBe('/a b');
  expect(busSocket('tcp:host=x;unix:guid=1,path=/c')).toBe('/c');
  expect(busSocket('unix:abstract=/tmp/x')).toBe('\0/tmp/x');
});

testWith(
  ['dbus-daemon'],
  "a real bus delivers logind's signal, and no other",
  async () => {
    const path = join(directory, 'real');
    const config = join(directory, 'bus.conf');
    writeFileSync(
      config,
      `<busconfig><type>system</type><listen>unix:path=${path}</listen><auth>EXTERNAL</auth><policy context="default"><allow own="*"/><allow send_destination="*"/><allow send_type="signal"/><allow receive_type="signal"/><allow eavesdrop="false"/></policy></busconfig>`,
    );
    const daemon = spawn('dbus-daemon', [`--config-file=${config}`, '--nofork', '--print-address'], {
      stdio: ['ignore', 'pipe', 'inherit'],
    });
    try {
      await new Promise((resolve, reject) => daemon.stdout.once('data', resolve) && daemon.once('exit', reject));
      const heard = listen(path);
      const [logind, other] = [await peer(path), await peer(path)];
      const emit = (socket: Socket, isAhead: boolean) =>
        socket.write(
          dbusMessage({
            type: 4,
            serial: 9,
            path: '/org/freedesktop/login1',
            interface: MANAGER,
            member: 'PrepareForSleep',
            body: [isAhead],
          }),
        );
      logind.write(
        dbusMessage({
          type: 1,
          serial: 2,
          destination: BUS,
          path: '/org/freedesktop/DBus',
          interface: BUS,
          member: 'RequestName',
          body: [LOGIND, 4],
        }),
      );
      // repeated, because our watch may subscribe later than this
      const repeat = setInterval(() => {
        emit(other, true);
        emit(logind, false);
      }, 20);
      await heard.until(3);
      clearInterval(repeat);
      expect(new Set(heard.events)).toEqual(new Set([false]));
      logind.destroy();
      other.destroy();
    } finally {
      daemon.kill();
    }
  },
  HANG_MS,
);

/** A connection that has said Hello. */
async function peer(path: string): Promise<Socket> {
  const socket = connect(path);
  await new Promise<void>((resolve, reject) => {
    socket.once('error', reject);
    socket.write(`\0AUTH EXTERNAL ${Buffer.from(String(process.getuid!())).toString('hex')}\r\n`);
    socket.once('data', () => {
      socket.write('BEGIN\r\n');
      socket.write(
        dbusMessage({ type: 1, destination: BUS, path: '/org/freedesktop/DBus', interface: BUS, member: 'Hello' }),
      );
      socket.once('data', () => resolve());
    });
  });
  socket.on('data', () => {});
  return socket;
}
