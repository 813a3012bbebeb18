/**
 * A process that is to end during a hand-over (HandOverServer.settled) first learns which process
 * has the device: only then does it know what it may remove.
 */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { HandOverChannel, type HandOverKind, type HandOverMessage } from '../../src/daemon/hand-over-channel.ts';
import { makeHello } from '../../src/daemon/hand-over-greeting.ts';
import { HandOverServer } from '../../src/daemon/hand-over-server.ts';
import { handOverPath } from '../../src/daemon/uapi-socket.ts';
import { RightsSocket, RunToken } from '../../src/io/rights.ts';
import { HANG_MS } from '../support/patience.ts';

let folder: string;
let calls: string[];
let server: HandOverServer;
let taker: Taker;

/** The other side of the exchange, which sends only what a test tells it to. */
class Taker {
  readonly channel: HandOverChannel;
  readonly got: (HandOverKind | 'end')[] = [];
  token: RunToken | undefined;

  constructor(path: string) {
    this.channel = new HandOverChannel(RightsSocket.connect(path), {
      onMessage: message => this.#received(message),
      onBroken: problem => expect.fail(problem),
      onEnd: () => this.got.push('end'),
    });
    this.channel.sendText('hello', makeHello('test'));
  }

  #received({ kind, descriptors }: HandOverMessage): void {
    this.got.push(kind);
    if (descriptors[0] !== undefined) this.token = new RunToken(descriptors[0]);
  }

  async until(kind: HandOverKind | 'end'): Promise<void> {
    await expect.poll(() => this.got, { interval: 5, timeout: HANG_MS }).toContain(kind);
  }
}

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'wgts-settled-'));
  calls = [];
  const called = (name: string) => () => void calls.push(name);
  server = new HandOverServer({
    controlPath: join(folder, 'wg.sock'),
    device: {
      boundBy: undefined,
      rehearse: () => {},
      settle: () => Promise.resolve(),
      freeze: () => {
        calls.push('freeze');
        return { state: new Uint8Array(10), descriptors: [] };
      },
      thaw: called('thaw'),
      eraseKeys: called('eraseKeys'),
      restart: called('restart'),
      finish: called('finish'),
    },
    program: 'test',
    log: { verbose: () => {}, error: () => {} },
  });
  taker = new Taker(handOverPath(join(folder, 'wg.sock')));
});

afterEach(() => {
  taker.channel.close();
  taker.token?.close();
  server.close();
  rmSync(folder, { recursive: true });
});

/** Begins to wait. @returns the wait, and whether it is over */
function settling(): { readonly done: Promise<void>; readonly isDone: () => boolean } {
  let isDone = false;
  const done = server.settled().then(() => {
    isDone = true;
  });
  return { done, isDone: () => isDone };
}

test('before the device stopped, the exchange ends', async () => {
  await taker.until('offer');
  await settling().done;
  await taker.until('end');
  expect(calls).toEqual([]);
});

test('no new exchange begins', async () => {
  await taker.until('offer');
  await settling().done;
  expect(() => new Taker(handOverPath(join(folder, 'wg.sock')))).toThrow('Connection refused');
});

test('while the device stands still, the exchange goes on to its end, and the device is given', async () => {
  await taker.until('offer');
  taker.channel.send('ready');
  await taker.until('state');
  const { done, isDone } = settling();
  taker.channel.send('received');
  await taker.until('erased');
  expect(isDone()).toBe(false);
  taker.token!.claim();
  taker.channel.send('running');
  await done;
  expect(calls).toEqual(['freeze', 'eraseKeys', 'finish']);
});

test('a taker that dies leaves the device here', async () => {
  await taker.until('offer');
  taker.channel.send('ready');
  await taker.until('state');
  const { done } = settling();
  taker.channel.close();
  await done;
  expect(calls).toEqual(['freeze', 'thaw']);
});

test('a taker that has the token runs the device, although it never says so', async () => {
  await taker.until('offer');
  taker.channel.send('ready');
  await taker.until('state');
  taker.channel.send('received');
  await taker.until('erased');
  taker.token!.claim();
  await settling().done;
  expect(calls).toEqual(['freeze', 'eraseKeys', 'finish']);
});
