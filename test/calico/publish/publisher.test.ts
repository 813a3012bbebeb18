/**
 * Keys on the Node: published on request, corrected at once, with back-off against repeated
 * changes, and removed before the tunnel.
 */
import { afterEach, beforeEach, expect, test } from 'vitest';
import { KEY_ANNOTATION } from '../../../src/calico/model/annotations.ts';
import { type AnnotationPatch, Publisher } from '../../../src/calico/publish/publisher.ts';
import { FakeClock } from './clock.ts';

const [V4, V6] = [KEY_ANNOTATION[4], KEY_ANNOTATION[6]];
let clock: FakeClock;
let annotations: Record<string, string>;
let patches: { at: number; patch: AnnotationPatch }[];
let warnings: string[];
let refuse: (patch: AnnotationPatch) => boolean;
let hold: Promise<void> | undefined;
/** Runs between a change by the API and its response. */
let answer: Promise<void> | undefined;
let publisher: Publisher;

beforeEach(() => {
  clock = new FakeClock();
  annotations = { other: 'x' };
  patches = [];
  warnings = [];
  refuse = () => false;
  hold = undefined;
  answer = undefined;
  publisher = new Publisher({
    node: 'worker-1',
    clock,
    api: {
      patchNode: async (name, patch) => {
        expect(name).toBe('worker-1');
        patches.push({ at: clock.now(), patch });
        await hold;
        if (refuse(patch)) throw new Error('503 Service Unavailable');
        for (const [key, value] of Object.entries(patch))
          if (value === null) delete annotations[key];
          else annotations[key] = value;
        await answer;
      },
    },
    log: () => {},
    warn: text => void warnings.push(text),
  });
});

afterEach(() => publisher.close());

const see = (): void => publisher.observe({ ...annotations });
/** Changes the Node as another program, and lets the publisher observe it. */
const meddle = (change: Record<string, string | undefined>): void => {
  annotations = Object.fromEntries(
    Object.entries({ ...annotations, ...change }).filter(([, value]) => value !== undefined),
  ) as Record<string, string>;
  see();
};

test('sends nothing before publish; then only that annotation, once', async () => {
  see();
  await clock.pass(100_000);
  expect(patches).toEqual([]);
  publisher.publish(4, 'key4');
  await clock.pass(0);
  publisher.publish(4, 'key4');
  see();
  await clock.pass(100_000);
  expect(patches.map(({ patch }) => patch)).toEqual([{ [V4]: 'key4' }]);
  expect(publisher.isPublished(4)).toBe(true);
  expect(publisher.isPublished(6)).toBe(false);
});

test('does not send a key that is already published', async () => {
  annotations[V4] = 'key4';
  see();
  publisher.publish(4, 'key4');
  await clock.pass(10_000);
  expect(patches).toEqual([]);
});

test('corrects a cleared or changed key at once, each time after a stable period', async () => {
  publisher.publish(4, 'key4');
  await clock.pass(60_000);
  for (const value of [undefined, 'felix', '']) {
    patches.length = 0;
    const before = clock.now();
    meddle({ [V4]: value });
    await clock.pass(60_000);
    expect(patches).toEqual([{ at: before, patch: { [V4]: 'key4' } }]);
    see();
  }
});

test('corrects a repeated change within a second', async () => {
  publisher.publish(4, 'key4');
  await clock.pass(10);
  see();
  meddle({ [V4]: undefined });
  await clock.pass(1000);
  expect(annotations[V4]).toBe('key4');
});

test('restores a key that is cleared every second within a second each time, as traffic is plaintext without it', async () => {
  publisher.publish(4, 'key4');
  for (let i = 0; i < 30; i++) {
    await clock.pass(1000);
    expect(annotations[V4]).toBe('key4');
    see();
    meddle({ [V4]: undefined });
    await clock.pass(10);
    expect(annotations[V4]).toBe('key4');
    see();
  }
});

test('backs off to about one request a second while reverted, and is fast again after a stable period', async () => {
  publisher.publish(4, 'key4');
  await clock.pass(0);
  const start = clock.now();
  for (let i = 0; i < 1200; i++) {
    await clock.pass(50);
    if (annotations[V4] === 'key4') meddle({ [V4]: undefined });
  }
  const times = patches.map(({ at }) => at - start);
  expect(times.length).toBeLessThan(75);
  expect(times.length).toBeGreaterThan(50);
  const pauses = times.slice(1).map((at, i) => at - times[i]!);
  expect(Math.max(...pauses)).toBeLessThanOrEqual(1000);
  expect(pauses.at(-1)).toBeGreaterThanOrEqual(900);
  await clock.pass(60_000);
  patches.length = 0;
  const before = clock.now();
  meddle({ [V4]: undefined });
  await clock.pass(10);
  expect(patches).toMatchObject([{ at: before }]);
  // So is the next one: attempts before the stable period do not count.
  see();
  meddle({ [V4]: undefined });
  await clock.pass(1000);
  expect(annotations[V4]).toBe('key4');
});

test('repeated publish calls do not shorten the back-off; a stable period resets it', async () => {
  publisher.publish(4, 'key4');
  await clock.pass(0);
  const fight = async (): Promise<void> => {
    for (let i = 0; i < 2000; i++) {
      if (annotations[V4] === 'key4') meddle({ [V4]: undefined });
      publisher.publish(4, 'key4');
      await clock.pass(5);
    }
  };
  patches.length = 0;
  await fight();
  // In ten seconds: without back-off there would be a hundred.
  expect(patches.length).toBeLessThan(20);
  see();
  await clock.pass(31_000);
  patches.length = 0;
  const peace = clock.now();
  meddle({ [V4]: undefined });
  await clock.pass(0);
  expect(patches.map(({ at }) => at)).toEqual([peace]);
  // The next follows soon too: the back-off starts from the beginning.
  meddle({ [V4]: undefined });
  await clock.pass(150);
  expect(patches).toHaveLength(2);
});

test('retries refused requests with pauses and warns each time; the other family is unaffected', async () => {
  refuse = patch => V4 in patch;
  publisher.publish(4, 'key4');
  publisher.publish(6, 'key6');
  await clock.pass(60_000);
  const tries = patches.filter(({ patch }) => V4 in patch);
  expect(tries.length).toBeGreaterThan(10);
  expect(tries.length).toBeLessThan(20);
  expect(warnings).toHaveLength(tries.length);
  expect(warnings[0]).toBe(`node worker-1: cannot set ${V4}, trying again: 503 Service Unavailable`);
  expect(annotations).toEqual({ other: 'x', [V6]: 'key6' });
  expect(patches.filter(({ patch }) => V6 in patch)).toHaveLength(1);
  refuse = () => false;
  await clock.pass(5_000);
  expect(annotations[V4]).toBe('key4');
});

test('stale observations during a request cost at most one more request', async () => {
  let release = (): void => {};
  hold = new Promise(resolve => {
    release = resolve;
  });
  publisher.publish(4, 'key4');
  publisher.observe({ other: 'x' });
  publisher.observe({ other: 'x' });
  release();
  await clock.pass(10);
  see();
  await clock.pass(60_000);
  expect(patches).toHaveLength(1);
});

test('notices a clearing that is observed before the response to the request it undid', async () => {
  let release = (): void => {};
  answer = new Promise(resolve => {
    release = resolve;
  });
  see();
  publisher.publish(4, 'key4');
  await clock.pass(0);
  expect(annotations[V4]).toBe('key4');
  meddle({ [V4]: undefined });
  release();
  await clock.pass(1000);
  expect(annotations[V4]).toBe('key4');
});

test('withdraw resolves once the key is gone; a stale write that restores it is undone', async () => {
  publisher.publish(4, 'key4');
  await clock.pass(0);
  see();
  const done = publisher.withdraw(4);
  await clock.pass(0);
  expect(await done).toBe(true);
  expect(V4 in annotations).toBe(false);
  see();
  meddle({ [V4]: 'key4' });
  await clock.pass(1000);
  expect(V4 in annotations).toBe(false);
  expect(await publisher.withdraw(4)).toBe(true);
});

test('withdraw removes the key of an earlier run, but not a key of another program', async () => {
  annotations[V4] = 'felix';
  annotations[V6] = 'mine';
  see();
  expect(await publisher.withdraw(4, { previousKey: 'mine4' })).toBe(true);
  const gone = publisher.withdraw(6, { previousKey: 'mine' });
  await clock.pass(0);
  expect(await gone).toBe(true);
  expect(annotations).toEqual({ other: 'x', [V4]: 'felix' });
});

test('withdraw removes nothing before the Node is observed: the key could be another program’s', async () => {
  annotations[V4] = 'felix';
  const done = publisher.withdraw(4, { previousKey: 'mine', timeoutMs: 1000 });
  await clock.pass(2000);
  expect(await done).toBe(false);
  expect(patches).toEqual([]);
  meddle({ [V4]: 'mine' });
  await clock.pass(0);
  expect(V4 in annotations).toBe(false);
});

test('withdraw from a refusing API resolves after its timeout and keeps trying', async () => {
  publisher.publish(4, 'key4');
  await clock.pass(0);
  refuse = () => true;
  const done = publisher.withdraw(4, { timeoutMs: 3000 });
  await clock.pass(3000);
  expect(await done).toBe(false);
  refuse = () => false;
  await clock.pass(10_000);
  expect(V4 in annotations).toBe(false);
});

test('sends nothing while the Node does not exist', async () => {
  publisher.observe(undefined);
  publisher.publish(4, 'key4');
  await clock.pass(60_000);
  expect(patches).toEqual([]);
  see();
  await clock.pass(0);
  expect(annotations[V4]).toBe('key4');
});

test('a publish during a withdrawal wins', async () => {
  publisher.publish(4, 'key4');
  await clock.pass(0);
  const done = publisher.withdraw(4);
  publisher.publish(4, 'key4');
  await clock.pass(10_000);
  await done;
  expect(annotations[V4]).toBe('key4');
});

test('sends nothing after close', async () => {
  publisher.publish(4, 'key4');
  await clock.pass(0);
  publisher.close();
  meddle({ [V4]: undefined });
  await clock.pass(60_000);
  expect(patches).toHaveLength(1);
});
