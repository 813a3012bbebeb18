/** A device that goes on after a hand-over that failed, on a machine that lacks descriptors. */
import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import { RunningDevice, type RunningDeviceOptions } from '../../src/daemon/given-device.ts';

let calls: string[];
/** How many more times the control socket cannot be served. */
let failures: number;

beforeEach(() => {
  vi.useFakeTimers();
  [calls, failures] = [[], 0];
});
afterEach(() => void vi.useRealTimers());

function makeDevice(status = (): object => ({ listenPort: 1, fwmark: 0, peers: [] })): RunningDevice {
  const parts = {
    loop: {
      status,
      freeze: () => {
        calls.push('freeze');
        throw new RangeError('Array buffer allocation failed');
      },
      thaw: () => calls.push('thaw'),
    },
    server: {
      given: { descriptor: 1, path: '', inode: 1, removes: true },
      pause: () => calls.push('pause'),
      close: () => calls.push('close'),
      resume: async () => {
        if (failures-- > 0) throw new Error('fcntl: EMFILE');
        calls.push('resume');
      },
    },
    link: { isOurs: true },
    now: () => 0,
    onFinished: () => {},
  };
  return new RunningDevice(parts as unknown as RunningDeviceOptions);
}

test('the control socket stays when it cannot be served again at once, and is served later', async () => {
  failures = 2;
  const device = makeDevice();
  device.thaw();
  await vi.advanceTimersByTimeAsync(1500);
  expect(calls).toEqual([]);
  await vi.advanceTimersByTimeAsync(1000);
  expect(calls).toEqual(['resume']);
});

test('no later attempt interferes with the next hand-over', async () => {
  failures = 1;
  const device = makeDevice();
  device.thaw();
  await vi.advanceTimersByTimeAsync(500);
  expect(() => device.freeze()).toThrow(RangeError);
  await vi.advanceTimersByTimeAsync(5000);
  expect(calls).toEqual(['pause', 'freeze']);
});

test('a loop that could not freeze goes on', () => {
  const device = makeDevice();
  expect(() => device.freeze()).toThrow(RangeError);
  device.thaw();
  expect(calls).toEqual(['pause', 'freeze', 'thaw', 'resume']);
});

test('a loop that was not stopped yet is not started again', async () => {
  const device = makeDevice(() => {
    throw new RangeError('Array buffer allocation failed');
  });
  expect(() => device.freeze()).toThrow(RangeError);
  device.thaw();
  await vi.advanceTimersByTimeAsync(0);
  expect(calls).toEqual(['pause', 'resume']);
});
