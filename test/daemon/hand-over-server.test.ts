/** The giver's end of a hand-over: what hostile, hasty and dying processes do to the device. */
import { fstatSync, mkdtempSync, openSync, readdirSync, readlinkSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest';
import { HandOverChannel, type HandOverMessage } from '../../src/daemon/hand-over-channel.ts';
import type { GivenDevice } from '../../src/daemon/hand-over-device.ts';
import { makeHello } from '../../src/daemon/hand-over-greeting.ts';
import { HandOverServer } from '../../src/daemon/hand-over-server.ts';
import { handOverPath } from '../../src/daemon/uapi-socket.ts';
import { nativeBinding } from '../../src/io/native-binding.ts';
import { RightsSocket, RunToken } from '../../src/io/rights.ts';

/** A device that notes what happens to it, and fails where a test says so. */
class NotedDevice implements GivenDevice {
  readonly calls: string[] = [];
  readonly boundBy = undefined;
  failing = '';
  state = new Uint8Array([1, 2, 3]);

  rehearse(): void {}
  async settle(): Promise<void> {}
  freeze(): { state: Uint8Array; descriptors: readonly number[] } {
    this.#note('freeze');
    return { state: this.state, descriptors: [] };
  }
  thaw(): void {
    this.#note('thaw');
  }
  eraseKeys(): void {
    this.#note('erase');
  }
  restart(): void {
    this.#note('restart');
  }
  finish(): void {
    this.#note('finish');
  }
  #note(call: string): void {
    this.calls.push(call);
    if (call === this.failing) throw new Error(`cannot ${call}`);
  }
}

/** The other process, as far as the server sees it. */
class Taker {
  readonly messages: HandOverMessage[] = [];
  readonly channel: HandOverChannel;
  hasEnded = false;

  constructor() {
    this.channel = new HandOverChannel(RightsSocket.connect(path), {
      onMessage: message => this.messages.push(message),
      onBroken: problem => expect.fail(problem),
      onEnd: () => {
        this.hasEnded = true;
      },
    });
    takers.push(this);
  }

  get kinds(): string[] {
    return this.messages.map(({ kind }) => kind);
  }

  /** Says hello and ready. */
  async prepare(): Promise<void> {
    this.channel.sendText('hello', makeHello('new'));
    await expect.poll(() => this.kinds).toEqual(['offer']);
    this.channel.send('ready');
  }
}

let folder: string;
let path: string;
let device: NotedDevice;
let server: HandOverServer;
let errors: string[];
let takers: Taker[];

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'hand-over-'));
  const controlPath = join(folder, 'wg0.sock');
  path = handOverPath(controlPath);
  device = new NotedDevice();
  errors = [];
  takers = [];
  const log = { verbose: () => {}, error: (line: string) => void errors.push(line) };
  server = new HandOverServer({ controlPath, device, program: 'old', log });
});

afterEach(() => {
  vi.restoreAllMocks();
  for (const { channel, messages } of takers) {
    channel.close();
    for (const { descriptors } of messages) for (const each of descriptors) new RunToken(each).close();
  }
  server.close();
  rmSync(folder, { recursive: true });
});

describe('the giver of a hand-over', () => {
  test('gives the device to a process that follows the exchange, then lets go of the connection', async () => {
    const taker = new Taker();
    await taker.prepare();
    await expect.poll(() => taker.kinds).toEqual(['offer', 'state']);
    taker.channel.send('received');
    await expect.poll(() => taker.kinds).toEqual(['offer', 'state', 'erased']);
    expect(new RunToken(taker.messages[1]!.descriptors[0]).claim()).toBe(true);
    taker.channel.send('running');
    await expect.poll(() => taker.hasEnded).toBe(true);
    expect(device.calls).toEqual(['freeze', 'erase', 'finish']);
    expect(device.state).toEqual(new Uint8Array(3));
    expect(errors).toEqual([]);
  });

  test.each([
    [3, 2_000],
    [4_000_000, 4_000],
  ])('with a state of %i bytes, takes the device back from a process that is silent for %i ms', async (size, limit) => {
    device.state = new Uint8Array(size);
    const taker = new Taker();
    taker.channel.sendText('hello', makeHello('new'));
    await expect.poll(() => taker.kinds).toEqual(['offer']);
    const timers = vi.spyOn(globalThis, 'setTimeout');
    taker.channel.send('ready');
    await expect.poll(() => device.calls).toEqual(['freeze']);
    await expect.poll(() => timers.mock.calls.map(([, delay]) => delay)).toContain(limit);
    const [timedOut] = timers.mock.calls.find(([, delay]) => delay === limit)!;
    (timedOut as () => void)();
    expect(device.calls).toEqual(['freeze', 'thaw']);
  });

  test('keeps the device if there is no descriptor for the token', async () => {
    vi.spyOn(nativeBinding(), 'rightsToken').mockImplementation(() => {
      throw Object.assign(new Error('pipe2: EMFILE'), { code: 'EMFILE' });
    });
    const taker = new Taker();
    await taker.prepare();
    await expect.poll(() => taker.hasEnded).toBe(true);
    expect(taker.kinds).toEqual(['offer']);
    expect(device.calls).toEqual([]);
    expect(errors.join()).toMatch(/EMFILE.*this process goes on/);
  });

  test('takes the device back if it cannot freeze, and hands over later', async () => {
    device.failing = 'freeze';
    const taker = new Taker();
    await taker.prepare();
    await expect.poll(() => taker.hasEnded).toBe(true);
    expect(taker.kinds).toEqual(['offer']);
    expect(device.calls).toEqual(['freeze', 'thaw']);
    device.failing = '';
    const next = new Taker();
    await next.prepare();
    await expect.poll(() => next.kinds).toEqual(['offer', 'state']);
  });

  test('does not say that keys are erased if they are not, and restarts', async () => {
    device.failing = 'erase';
    const taker = new Taker();
    await taker.prepare();
    await expect.poll(() => taker.kinds).toEqual(['offer', 'state']);
    taker.channel.send('received');
    await expect.poll(() => taker.hasEnded).toBe(true);
    expect(taker.kinds).toEqual(['offer', 'state']);
    expect(device.calls).toEqual(['freeze', 'erase', 'restart']);
  });

  test('is not kept from a process by others that only ask who listens', async () => {
    const taker = new Taker();
    taker.channel.sendText('hello', makeHello('new'));
    // all of them connect before the server reads anything
    for (let n = 0; n < 5; n++) RightsSocket.connect(path).close();
    await expect.poll(() => taker.kinds).toEqual(['offer']);
  });

  test('keeps eight silent connections, and lets the oldest go', async () => {
    const silent: Taker[] = [];
    for (let n = 0; n < 9; n++) {
      silent.push(new Taker());
      // one at a time: the queue of the socket is short
      if (n === 7) await expect.poll(() => openSockets()).toBeGreaterThanOrEqual(16);
    }
    await expect.poll(() => silent[0]!.hasEnded).toBe(true);
    silent[1]!.channel.sendText('hello', makeHello('new'));
    await expect.poll(() => silent[1]!.kinds).toEqual(['offer']);
    expect(silent.slice(1).some(({ hasEnded }) => hasEnded)).toBe(false);
  });

  test('refuses a second process while the first one takes the device', async () => {
    const [first, second] = [new Taker(), new Taker()];
    first.channel.sendText('hello', makeHello('new'));
    await expect.poll(() => first.kinds).toEqual(['offer']);
    second.channel.sendText('hello', makeHello('new'));
    await expect.poll(() => second.kinds).toEqual(['refusal']);
    first.channel.send('ready');
    await expect.poll(() => first.kinds).toEqual(['offer', 'state']);
  });

  test('survives a greeting whose values cannot be converted to text', async () => {
    const taker = new Taker();
    taker.channel.sendText('hello', { protocol: { toString: 0, valueOf: 0 }, program: { toString: 0, valueOf: 0 } });
    await expect.poll(() => taker.kinds).toEqual(['refusal']);
    expect(errors.join()).toContain('version object');
  });

  test('closes descriptors that come unasked', async () => {
    const file = openSync('/dev/zero', 'r');
    const taker = new Taker();
    taker.channel.send('hello', new TextEncoder().encode('{}'), Array(16).fill(file));
    await expect.poll(() => taker.hasEnded).toBe(true);
    expect(descriptorsOf('/dev/zero')).toEqual([file]);
    expect(fstatSync(file).isCharacterDevice()).toBe(true);
    new RunToken(file).close();
  });
});

/** Returns this process's descriptors of a file. */
function descriptorsOf(file: string): number[] {
  return targets()
    .filter(([, target]) => target === file)
    .map(([descriptor]) => descriptor);
}

function openSockets(): number {
  return targets().filter(([, target]) => target.startsWith('socket:')).length;
}

function targets(): [number, string][] {
  return readdirSync('/proc/self/fd').flatMap(name => {
    try {
      return [[Number(name), readlinkSync(`/proc/self/fd/${name}`)] as [number, string]];
    } catch {
      return [];
    }
  });
}
