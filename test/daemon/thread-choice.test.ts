/** When a device shares its work with other threads. */
import { expect, test } from 'vitest';
import { ThreadChoice } from '../../src/daemon/thread-choice.ts';

const WINDOW = 20;

/** A choice that sees windows of 20 ms, each given as parts of it. */
class Windows {
  readonly choice = new ThreadChoice();
  #now = 1000;
  readonly #use = { waited: 0, own: 0, others: 0 };

  constructor() {
    this.choice.look(this.#now, this.#use);
  }

  /**
   * @param busy part of the time for which the event loop did not wait
   * @param own processor time of the device's thread
   * @param others processor time of the other threads
   */
  pass(count: number, busy: number, own = busy, others = 0): boolean {
    for (let i = 0; i < count; i++) {
      this.#now += WINDOW;
      this.#use.waited += (1 - busy) * WINDOW;
      this.#use.own += own * WINDOW;
      this.#use.others += others * WINDOW;
      expect(this.choice.isDue(this.#now)).toBe(true);
      this.choice.look(this.#now, this.#use);
    }
    return this.choice.isSharing;
  }

  /** No wake-up for a while. */
  rest(milliseconds: number): void {
    this.#now += milliseconds;
    this.#use.waited += milliseconds;
    this.choice.look(this.#now, this.#use);
  }
}

test('shares once traffic has filled a core for two windows', () => {
  const windows = new Windows();
  expect(windows.pass(20, 0.85)).toBe(false);
  expect(windows.pass(1, 0.95)).toBe(false);
  expect(windows.pass(1, 0.95)).toBe(true);
  expect(windows.choice.begun).toBe(1);
});

test('does not share where its thread waits for a processor: no core is idle', () => {
  const windows = new Windows();
  expect(windows.pass(100, 1, 0.9)).toBe(false);
  expect(windows.pass(100, 1, 0.5)).toBe(false);
});

test('goes on while all threads together use more than a core, and rests below', () => {
  const windows = new Windows();
  windows.pass(2, 1);
  expect(windows.pass(100, 1, 0.8, 0.7)).toBe(true);
  // less than one core, but not yet little
  expect(windows.pass(10, 0.6, 0.5, 0.4)).toBe(true);
  expect(windows.pass(1, 0.5, 0.4, 0.3)).toBe(false);
  // it was of use, so it may begin again at once
  expect(windows.pass(2, 1)).toBe(true);
});

test('stops where there is no second core after all, and waits longer each time', () => {
  const windows = new Windows();
  const pauses: number[] = [];
  for (let i = 0; i < 9; i++) {
    let passed = 0;
    while (!windows.pass(1, 1)) passed++;
    pauses.push(passed * WINDOW);
    expect(windows.pass(1, 1, 0.6, 0.45)).toBe(false);
  }
  expect(pauses[1]).toBeGreaterThanOrEqual(480);
  expect(pauses[2]).toBeGreaterThanOrEqual(960);
  expect(pauses[8]).toBeLessThanOrEqual(30_040);
  expect(pauses).toEqual([...pauses].sort((a, b) => a - b));
  // once it is of use, the next attempt is soon again
  while (!windows.pass(1, 1));
  windows.pass(5, 1, 0.8, 0.7);
  windows.pass(1, 1, 0.6, 0.4);
  let passed = 0;
  while (!windows.pass(1, 1)) passed++;
  expect(passed * WINDOW).toBeLessThan(600);
});

test('a silence ends it', () => {
  const windows = new Windows();
  windows.pass(2, 1);
  windows.rest(1000);
  expect(windows.choice.isSharing).toBe(false);
  // and is no measurement
  expect(windows.pass(1, 1)).toBe(false);
});
