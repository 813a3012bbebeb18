/** Keys on the Node: only when told, put right at once, slower in a fight, and gone before the tunnel is. */
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
/** Between what the API does and its answer. */
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
/** Somebody else's change, and its view. */
const meddle = (change: Record<string, string | undefined>): void => {
  annotations = Object.fromEntries(
    Object.entries({ ...annotations, ...change }).filter(([, value]) => value !== undefined),
  ) as Record<string, string>;
  see();
};

test('no key before it is told to publish one; then that annotation alone, once', async () => {
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

test('a key that is there already is not sent', async () => {
  annotations[V4] = 'key4';
  see();
  publisher.publish(4, 'key4');
  await clock.pass(10_000);
  expect(patches).toEqual([]);
});

test('cleared or changed by another: put right at once, each time after peace', async () => {
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

test('soon after another time it still takes less than a second', async () => {
  publisher.publish(4, 'key4');
  await clock.pass(10);
  see();
  meddle({ [V4]: undefined });
  await clock.pass(1000);
  expect(annotations[V4]).toBe('key4');
});

test('who clears it every second has it back each time within the next, as without it traffic goes in the clear', async () => {
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

test('in a fight it slows down to about once in a second, and after peace it is quick again', async () => {
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
  // and the next one too: what was long ago does not count
  see();
  meddle({ [V4]: undefined });
  await clock.pass(1000);
  expect(annotations[V4]).toBe('key4');
});

test('in a fight, told the same again at every turn, it is no quicker; after peace it is quick again', async () => {
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
  // ten seconds: a hundred would be each time at once
  expect(patches.length).toBeLessThan(20);
  see();
  await clock.pass(31_000);
  patches.length = 0;
  const peace = clock.now();
  meddle({ [V4]: undefined });
  await clock.pass(0);
  expect(patches.map(({ at }) => at)).toEqual([peace]);
  // and the next is soon too: it counts from the beginning
  meddle({ [V4]: undefined });
  await clock.pass(150);
  expect(patches).toHaveLength(2);
});

test('refused: tried again with pauses, said each time, the other family undisturbed', async () => {
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

test('views from before while it is sent cost at most one more', async () => {
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

test('a clearing that is seen before the answer to what it cleared is not overlooked', async () => {
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

test('withdrawn: resolves when it is gone; brought back by a stale write, it goes again', async () => {
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

test('somebody else’s key is not taken away; one that an earlier agent left is', async () => {
  annotations[V4] = 'felix';
  annotations[V6] = 'mine';
  see();
  expect(await publisher.withdraw(4, { previousKey: 'mine4' })).toBe(true);
  const gone = publisher.withdraw(6, { previousKey: 'mine' });
  await clock.pass(0);
  expect(await gone).toBe(true);
  expect(annotations).toEqual({ other: 'x', [V4]: 'felix' });
});

test('before the Node was seen nothing is removed, lest it be another’s', async () => {
  annotations[V4] = 'felix';
  const done = publisher.withdraw(4, { previousKey: 'mine', timeoutMs: 1000 });
  await clock.pass(2000);
  expect(await done).toBe(false);
  expect(patches).toEqual([]);
  meddle({ [V4]: 'mine' });
  await clock.pass(0);
  expect(V4 in annotations).toBe(false);
});

test('withdrawing against a refusing API ends after its patience, and goes on', async () => {
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

test('a Node that is not there is left alone until it is', async () => {
  publisher.observe(undefined);
  publisher.publish(4, 'key4');
  await clock.pass(60_000);
  expect(patches).toEqual([]);
  see();
  await clock.pass(0);
  expect(annotations[V4]).toBe('key4');
});

test('published again while it is being withdrawn: published in the end', async () => {
  publisher.publish(4, 'key4');
  await clock.pass(0);
  const done = publisher.withdraw(4);
  publisher.publish(4, 'key4');
  await clock.pass(10_000);
  await done;
  expect(annotations[V4]).toBe('key4');
});

test('closed, it sends nothing more', async () => {
  publisher.publish(4, 'key4');
  await clock.pass(0);
  publisher.close();
  meddle({ [V4]: undefined });
  await clock.pass(60_000);
  expect(patches).toHaveLength(1);
});
