import { expect, test } from 'vitest';
import { KeySlots } from '../../src/protocol/key-slots.ts';
import { MAX_KEY_SLOTS } from '../../src/protocol/transport-cipher.ts';

test('key slots are unique while in use, are reused, and run out', () => {
  const slots = new KeySlots();
  const taken = new Set(Array.from({ length: MAX_KEY_SLOTS }, () => slots.take()));
  expect(taken.size).toBe(MAX_KEY_SLOTS);
  expect([Math.min(...[...taken].slice(0, 9)), slots.take(), slots.inUse]).toEqual([0, -1, MAX_KEY_SLOTS]);
  slots.give(17);
  expect([slots.inUse, slots.take(), slots.take()]).toEqual([MAX_KEY_SLOTS - 1, 17, -1]);
});
