/** The taker's end of a hand-over, with givers that die, lie or do not read. */
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest';
import { HandOverChannel, type HandOverKind } from '../../src/daemon/hand-over-channel.ts';
import { makeOffer } from '../../src/daemon/hand-over-greeting.ts';
import { type Predecessor, takeOver } from '../../src/daemon/take-over.ts';
import { nativeBinding } from '../../src/io/native-binding.ts';
import { RightsListener, RunToken } from '../../src/io/rights.ts';

const GIVER = join(import.meta.dirname, 'giver-process.mjs');
const RUNNING = 7;

let folder: string;
let path: string;
/** What became of the device here. */
let calls: string[];
let child: ChildProcess | undefined;
let listener: RightsListener | undefined;
let channel: HandOverChannel | undefined;

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'take-over-'));
  path = join(folder, 'wg0.handover');
  calls = [];
});

afterEach(() => {
  vi.restoreAllMocks();
  child?.kill('SIGKILL');
  channel?.close();
  listener?.close();
  [child, channel, listener] = [undefined, undefined, undefined];
  rmSync(folder, { recursive: true });
});

function take(build: () => void = () => {}): Promise<Predecessor> {
  return takeOver({
    path,
    program: 'new',
    warmUp: () => {},
    build,
    goLive: hasSessions => void calls.push(hasSessions ? 'runs with sessions' : 'runs without sessions'),
    discard: () => void calls.push('discard'),
  });
}

/** Starts a giver in a process of its own. */
async function startGiver(mode: string): Promise<ChildProcess> {
  child = spawn(process.execPath, [GIVER, path, mode], { stdio: ['ignore', 'pipe', 'inherit'] });
  await Promise.race([once(child.stdout!, 'data'), once(child, 'exit')]);
  return child;
}

/** Gives a device in this process. @param answers what follows each message */
function give(answers: Partial<Record<HandOverKind, (to: HandOverChannel) => void>>): void {
  listener = new RightsListener(path);
  const onProblem = (error: Error) => {
    throw error;
  };
  listener.onConnection(socket => {
    channel = new HandOverChannel(socket, {
      onMessage: ({ kind }) => answers[kind]?.(channel!),
      onBroken: problem => expect.fail(problem),
      onEnd: () => void calls.push('ended'),
    });
  }, onProblem);
}

describe('the taker of a hand-over', () => {
  test('runs the device if the giver is killed while it checks the state', async () => {
    const giver = await startGiver('reads');
    const exited = once(giver, 'exit');
    const taken = take(() => {
      giver.kill('SIGKILL');
      waitForEnd(giver.pid!);
    });
    expect(await taken).toMatchObject({ pid: giver.pid, hasSessions: false });
    expect(calls).toEqual(['runs without sessions']);
    await exited;
  });

  test('runs the device if the giver is killed before it reads that the state arrived', async () => {
    const giver = await startGiver('stops');
    // the message follows in the same turn
    const taken = take(() => void setImmediate(() => giver.kill('SIGKILL')));
    expect(await taken).toMatchObject({ pid: giver.pid, hasSessions: false });
    expect(calls).toEqual(['runs without sessions']);
  });

  test('ends its process if it cannot say that it runs the device: the giver would run it too', async () => {
    const token = new RunToken();
    const binding = nativeBinding();
    const { rightsSend, pollStart } = binding;
    const thrown: string[] = [];
    vi.spyOn(binding, 'rightsSend').mockImplementation((handle, bytes, descriptors, limit) => {
      if (bytes[4] === RUNNING) throw Object.assign(new Error('sendmsg: ETIMEDOUT'), { code: 'ETIMEDOUT' });
      rightsSend(handle, bytes, descriptors, limit);
    });
    vi.spyOn(binding, 'pollStart').mockImplementation((fd, callback) =>
      pollStart(fd, waited => {
        try {
          callback(waited);
        } catch (error) {
          thrown.push((error as Error).message);
        }
      }),
    );
    give({
      hello: to => to.sendText('offer', makeOffer('old')),
      ready: to => to.send('state', new Uint8Array(8), [token.descriptor]),
      received: to => to.send('erased'),
    });
    void take();
    await expect.poll(() => thrown).toEqual(['sendmsg: ETIMEDOUT']);
    // the connection ends with the process, so that the giver sees its death and nothing before
    expect(calls).toEqual(['runs with sessions']);
    token.close();
  });

  test('erases a state that comes too early', async () => {
    const read: Uint8Array[] = [];
    const binding = nativeBinding();
    const { rightsReceive } = binding;
    vi.spyOn(binding, 'rightsReceive').mockImplementation((handle, bytes, descriptors) => {
      const count = rightsReceive(handle, bytes, descriptors);
      if (bytes.length === 1000) read.push(bytes);
      return count;
    });
    give({ hello: to => to.send('state', new Uint8Array(1000).fill(7)) });
    await expect(take()).rejects.toThrow('an unexpected message state');
    expect(read.length).toBeGreaterThan(0);
    for (const bytes of read) expect(bytes.every(byte => byte === 0)).toBe(true);
  });
});

/** Waits, without a turn of the event loop, until a killed child is gone or a zombie. */
function waitForEnd(pid: number): void {
  const pause = new Int32Array(new SharedArrayBuffer(4));
  while (/^State:\s+[^ZX]/m.test(statusOf(pid))) Atomics.wait(pause, 0, 0, 5);
}

function statusOf(pid: number): string {
  try {
    return readFileSync(`/proc/${pid}/status`, 'latin1');
  } catch {
    return '';
  }
}
