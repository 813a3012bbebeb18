/** How the kernel's log tells of copies of this machine, and what a lost message means. */
import { expect, test, vi } from 'vitest';
import { CopyCounter, withCopies } from '../../src/daemon/copy-counter.ts';
import type { KernelLogEvents } from '../../src/io/kernel-log.ts';
import type { Clock } from '../../src/io/ports.ts';

const RESEEDED = 'random: crng reseeded due to virtual machine fork';

function counted() {
  let events: KernelLogEvents | undefined;
  const time = { now: 0 };
  /** What the next check reads. */
  const waiting: string[] = [];
  const close = vi.fn();
  const counter = new CopyCounter({
    isVirtual: () => true,
    now: () => time.now,
    watch: given => {
      events = given;
      const check = () => {
        for (const text of waiting.splice(0)) given.onMessage(text);
      };
      return { check, close };
    },
  });
  const copied = vi.fn();
  counter.onCopied = copied;
  return { counter, events: events!, time, waiting, copied, close };
}

test('the kernel says that it drew new randomness for a copy, each time', () => {
  const { counter, events, copied } = counted();
  for (const text of ['random: crng init done', ` ${RESEEDED}`, `${RESEEDED}!`, RESEEDED, RESEEDED])
    events.onMessage(text);
  expect(counter.count()).toBe(2);
  expect(copied).toHaveBeenCalledTimes(2);
});

test('count() reads what waits, without a call of onCopied', () => {
  const { counter, waiting, copied } = counted();
  waiting.push(RESEEDED);
  expect(counter.count()).toBe(1);
  expect(counter.count()).toBe(1);
  expect(copied).not.toHaveBeenCalled();
});

test('a busy tunnel looks once a millisecond; what the event loop reports counts at once', () => {
  const { counter, events, waiting } = counted();
  expect(counter.count(100)).toBe(0);
  waiting.push(RESEEDED);
  expect(counter.count(100.9)).toBe(0);
  expect(counter.count(101)).toBe(1);
  events.onMessage(RESEEDED);
  expect(counter.count(101.1)).toBe(2);
  waiting.push(RESEEDED);
  expect(counter.count()).toBe(3);
});

test('lost messages may have said so, but count once a minute: others can make the kernel log', () => {
  const { counter, events, time } = counted();
  for (let lost = 0; lost < 100; lost++) events.onLost();
  expect(counter.count()).toBe(1);
  time.now += 59_999;
  events.onLost();
  expect(counter.count()).toBe(1);
  time.now += 1;
  events.onLost();
  // a message that arrives counts at any time
  events.onMessage(RESEEDED);
  expect(counter.count()).toBe(3);
});

test('a log that cannot be read any more counts as a copy', () => {
  const { counter, events } = counted();
  events.onEnd(new Error('read: EIO'));
  expect(counter.count()).toBe(1);
});

test('a log that cannot be opened is no error, and says why', () => {
  const watch = () => {
    throw new Error('open: Operation not permitted');
  };
  const counter = new CopyCounter({ isVirtual: () => true, watch });
  expect(counter.problem).toBe('open: Operation not permitted');
  expect(counter.count()).toBe(0);
  counter.close();
});

test('on a machine without a generation the log is not opened', () => {
  const watch = vi.fn();
  const counter = new CopyCounter({ isVirtual: () => false, watch });
  expect([watch.mock.calls.length, counter.count(), counter.problem]).toEqual([0, 0, undefined]);
});

test('a clock with copies keeps its own functions, and is disturbed by both', () => {
  const { counter, events, close } = counted();
  let disturb = () => {};
  const stop = vi.fn();
  const clock: Clock = {
    now: () => 7,
    wall: () => 8n,
    suspended: () => 9,
    onDisturbed: callback => {
      disturb = callback;
      return stop;
    },
  };
  const both = withCopies(clock, counter);
  const callback = vi.fn();
  const end = both.onDisturbed!(callback);
  disturb();
  events.onMessage(RESEEDED);
  expect(callback).toHaveBeenCalledTimes(2);
  expect([both.now(), both.wall(), both.suspended!(), both.copies!()]).toEqual([7, 8n, 9, 1]);
  end();
  events.onMessage(RESEEDED);
  expect([callback.mock.calls.length, stop.mock.calls.length]).toEqual([2, 1]);
  counter.close();
  expect(close).toHaveBeenCalledTimes(1);
});

test('a clock without notices is disturbed by copies alone', () => {
  const { counter, events } = counted();
  const callback = vi.fn();
  const end = withCopies({ now: () => 0, wall: () => 0n }, counter).onDisturbed!(callback);
  events.onMessage(RESEEDED);
  end();
  events.onMessage(RESEEDED);
  expect(callback).toHaveBeenCalledTimes(1);
});
