/** Records of the kernel's log: whose they are, how many at a time, losses and the end. */
import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import { type KernelLog, type KernelLogSource, watchKernelLog } from '../../src/io/kernel-log.ts';

const REST_MS = 100;
const [EINTR, EIO, EAGAIN, EPIPE] = [-4, -5, -11, -32];

/** A log that returns what a test puts into it. */
class FakeLog implements KernelLogSource {
  /** Records, and errnos as negative numbers. */
  readonly reads: (string | number)[] = [];
  polls = 0;
  count = 0;
  closed = 0;
  #callback: (() => void) | undefined;

  poll(callback: () => void): () => void {
    this.polls++;
    this.#callback = callback;
    return () => {
      this.#callback = undefined;
    };
  }

  read(into: Buffer): number {
    this.count++;
    const next = this.reads.shift() ?? EAGAIN;
    return typeof next === 'string' ? into.write(next, 'latin1') : next;
  }

  close(): void {
    this.closed++;
  }

  readable(): void {
    this.#callback?.();
  }
}

let log: FakeLog;
let told: string[];
let watch: KernelLog;

beforeEach(() => {
  vi.useFakeTimers();
  log = new FakeLog();
  told = [];
  const onEnd = (error: Error) => told.push(`ended: ${error.message}`);
  watch = watchKernelLog({ onMessage: text => told.push(text), onLost: () => told.push('lost'), onEnd }, log);
});

afterEach(() => {
  watch.close();
  vi.useRealTimers();
});

test('messages of the kernel are passed on, without their prefix and their properties', () => {
  log.reads.push('5,1161,18158117,-;random: reseeded\n SUBSYSTEM=acpi\n', '0,1,2,c,caller=T1;a;b\n');
  log.readable();
  expect(told).toEqual(['random: reseeded', 'a;b']);
});

test.each([
  ['of a program', '12,1,2,-;random: reseeded\n'],
  ['of a program with the highest priority', '8,1,2,-;random: reseeded\n'],
  ['without a prefix', 'random: reseeded\n'],
  ['that only contains a prefix', '14,1,2,-;x\n5,1,2,-;random: reseeded\n'],
  ['without a sequence number', '5,,2,-;random: reseeded\n'],
  ['without bytes', ''],
])('a record %s is not the kernel', (_what, record) => {
  log.reads.push(record);
  log.readable();
  expect(told).toEqual([]);
});

test('a loss is reported, and reading goes on', () => {
  log.reads.push(EPIPE, EINTR, '4,1,2,-;next\n');
  log.readable();
  expect(told).toEqual(['lost', 'next']);
});

test('a log that the network fills is read in bounded numbers, with rests', () => {
  log.reads.push(...Array.from({ length: 1000 }, (_, i) => `4,${i},2,-;message ${i}\n`));
  log.readable();
  const first = told.length;
  expect(first).toBeLessThan(300);
  log.readable();
  expect(told).toHaveLength(first);
  for (let rests = 0; rests < 1000 / first; rests++) {
    vi.advanceTimersByTime(REST_MS);
    log.readable();
  }
  expect(told).toEqual(Array.from({ length: 1000 }, (_, i) => `message ${i}`));
});

test('any other error ends the watch, once', () => {
  log.reads.push(EIO, '4,1,2,-;next\n');
  log.readable();
  log.readable();
  expect(told).toEqual(["ended: the kernel's log cannot be read: EIO"]);
  expect(log.closed).toBe(1);
  watch.close();
  expect(log.closed).toBe(1);
});

test('a check reads before the event loop does, but not during a rest', () => {
  log.reads.push('4,1,2,-;first\n');
  watch.check();
  expect(told).toEqual(['first']);
  log.reads.push(...Array.from({ length: 1000 }, (_, i) => `4,${i},2,-;message ${i}\n`));
  watch.check();
  const { count } = log;
  watch.check();
  expect(log.count).toBe(count);
  vi.advanceTimersByTime(REST_MS);
  watch.check();
  expect(log.count).toBeGreaterThan(count);
});

test.each([1, 256, 1000])('nothing is polled after an end at message %i of a burst', last => {
  log.reads.push(...Array.from({ length: last }, (_, i) => `4,${i},2,-;message ${i}\n`));
  const other = new FakeLog();
  other.reads.push(...log.reads.splice(0));
  const onMessage = (text: string) => {
    told.push(text);
    if (told.length === last) ended.close();
  };
  const ended = watchKernelLog({ onMessage, onLost: () => {}, onEnd: () => {} }, other);
  for (let rests = 0; told.length < last; rests++) {
    other.readable();
    if (told.length < last) vi.advanceTimersByTime(REST_MS);
    if (rests > last) throw new Error('not read');
  }
  const { polls } = other;
  vi.advanceTimersByTime(10 * REST_MS);
  expect([other.polls, other.closed]).toEqual([polls, 1]);
});

test('nothing is read after the end, not even within a burst or after a rest', () => {
  log.reads.push('4,1,2,-;first\n', '4,1,2,-;second\n');
  const onMessage = (text: string) => {
    told.push(text);
    other.close();
  };
  const other = watchKernelLog({ onMessage, onLost: () => {}, onEnd: () => {} }, log);
  log.readable();
  expect(told).toEqual(['first']);
  other.check();
  vi.advanceTimersByTime(10 * REST_MS);
  expect(told).toEqual(['first']);
  expect(log.reads).toHaveLength(1);
});
