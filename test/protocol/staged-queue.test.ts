import { describe, expect, test } from 'vitest';
import { MAX_STAGED_BYTES } from '../../src/protocol/constants.ts';
import { StagedQueue } from '../../src/protocol/staged-queue.ts';

const push = (queue: StagedQueue, number: number, length = 20, segments = 1) =>
  queue.push(new Uint8Array(length).fill(number), 0, length, segments);
const numbers = (queue: StagedQueue) => {
  const all: number[] = [];
  for (let packet = queue.shift(); packet; packet = queue.shift()) all.push(packet.bytes[0]!);
  return all;
};

describe('the staging queue', () => {
  test('returns packets in the order they were queued', () => {
    const queue = new StagedQueue();
    expect(queue.empty).toBe(true);
    for (let i = 0; i < 5; i++) push(queue, i);
    expect([queue.empty, queue.segments, queue.first!.bytes[0]]).toEqual([false, 5, 0]);
    expect(numbers(queue)).toEqual([0, 1, 2, 3, 4]);
    expect([queue.empty, queue.segments, queue.first]).toEqual([true, 0, undefined]);
  });

  test('holds 128 packets and drops the oldest for the newest', () => {
    const queue = new StagedQueue();
    for (let i = 0; i < 128; i++) expect(push(queue, i)).toBe(0);
    expect(push(queue, 128)).toBe(1);
    expect(push(queue, 129)).toBe(1);
    expect(queue.segments).toBe(128);
    expect(numbers(queue)).toEqual(Array.from({ length: 128 }, (_, i) => i + 2));
  });

  test('counts a super-packet as all its segments', () => {
    const queue = new StagedQueue();
    for (let i = 0; i < 100; i++) push(queue, i);
    expect(push(queue, 200, 60_000, 44)).toBe(16);
    expect(queue.segments).toBe(128);
    // dropping it drops all its segments
    for (let i = 0; i < 84; i++) push(queue, i);
    expect(push(queue, 201)).toBe(44);
    expect(queue.segments).toBe(85);
  });

  test('accepts a packet of more than 128 segments as the only one', () => {
    const queue = new StagedQueue();
    for (let i = 0; i < 10; i++) push(queue, i);
    expect(push(queue, 99, 65_000, 500)).toBe(10);
    expect([queue.segments, queue.first!.bytes[0]]).toEqual([500, 99]);
    expect(push(queue, 1)).toBe(500);
    expect(numbers(queue)).toEqual([1]);
  });

  test('holds no more than a megabyte', () => {
    const queue = new StagedQueue();
    let dropped = 0;
    for (let i = 0; i < 40; i++) dropped += push(queue, i, 65_536);
    expect(dropped).toBe(40 - MAX_STAGED_BYTES / 65_536);
  });

  test('keeps a copy: the slab may be reused', () => {
    const queue = new StagedQueue();
    const slab = Uint8Array.of(9, 1, 2, 3, 9);
    queue.push(slab, 1, 3, 1);
    slab.fill(0);
    expect(queue.first!.bytes).toEqual(Uint8Array.of(1, 2, 3));
  });

  test('reports how many packets clear() dropped', () => {
    const queue = new StagedQueue();
    push(queue, 1, 20, 3);
    push(queue, 2);
    expect([queue.clear(), queue.clear(), queue.segments]).toEqual([4, 0, 0]);
    for (let i = 0; i < 128; i++) expect(push(queue, i)).toBe(0);
  });
});
