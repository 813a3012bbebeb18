/** When a device shares its work with other threads, on simulated machines. */
import { expect, test } from 'vitest';
import { ThreadChoice } from '../../src/daemon/thread-choice.ts';

const WINDOW = 20;

/** What a machine does in a window, in parts of it; bytes in any unit. */
interface Machine {
  /** For which part the event loop did not wait, and its processor time. */
  readonly busy: number;
  readonly own: number;
  readonly others: number;
  readonly bytes: number;
}

/** A choice on a machine that behaves in one way with one thread, and in another one with all. */
class World {
  readonly choice = new ThreadChoice();
  one: Machine;
  all: Machine;
  /** How long it shared, of what passed since the last call of run(). */
  shared = 0;
  #now = 1000;
  readonly #use = { waited: 0, own: 0, others: 0, bytes: 0 };

  constructor(one: Partial<Machine> = {}, all: Partial<Machine> = {}) {
    this.one = { busy: 1, own: 1, others: 0, bytes: 100, ...one };
    this.all = { busy: 1, own: 0.8, others: 0.7, bytes: 140, ...all };
    this.choice.look(this.#now, this.#use);
  }

  run(milliseconds: number): boolean {
    this.shared = 0;
    for (let passed = 0; passed < milliseconds; passed += WINDOW) {
      const { busy, own, others, bytes } = this.choice.isSharing ? this.all : this.one;
      if (this.choice.isSharing) this.shared += WINDOW;
      this.#now += WINDOW;
      this.#use.waited += (1 - busy) * WINDOW;
      this.#use.own += own * WINDOW;
      this.#use.others += others * WINDOW;
      this.#use.bytes += bytes * WINDOW;
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

test('shares soon where it brings something, and nearly all the time', () => {
  const world = new World();
  expect(world.run(80)).toBe(false);
  expect(world.run(40)).toBe(true);
  world.run(60_000);
  expect(world.choice.isSharing).toBe(true);
  expect(world.choice.begun).toBe(1);
  expect(world.shared).toBeGreaterThan(0.97 * 60_000);
});

test('tries less and less often where it brings nothing', () => {
  const world = new World({}, { bytes: 102 });
  world.run(1000);
  expect(world.shared).toBeGreaterThan(0);
  expect(world.shared).toBeLessThan(400);
  world.run(600_000);
  expect(world.shared).toBeLessThan(0.005 * 600_000);
  expect(world.shared).toBeGreaterThan(0);
  expect(world.choice.begun).toBe(0);
});

test('does not even try while traffic leaves the core some rest, or another thread wants it', () => {
  for (const one of [{ busy: 0.85, own: 0.85 }, { own: 0.9 }, { own: 0.5 }]) {
    const world = new World(one);
    world.run(10_000);
    expect(world.shared).toBe(0);
  }
});

test('ends when traffic falls, and begins again at once when it is back', () => {
  const world = new World();
  world.run(1000);
  world.all = { busy: 0.5, own: 0.4, others: 0.3, bytes: 60 };
  world.one = { busy: 0.7, own: 0.7, others: 0, bytes: 60 };
  expect(world.run(40)).toBe(false);
  expect(world.run(5000)).toBe(false);
  world.one = { busy: 1, own: 1, others: 0, bytes: 100 };
  world.all = { busy: 1, own: 0.8, others: 0.7, bytes: 140 };
  expect(world.run(120)).toBe(true);
});

test('ends some time after another program took the second core', () => {
  const world = new World();
  world.run(5000);
  world.all = { busy: 1, own: 0.5, others: 0.5, bytes: 95 };
  world.run(35_000);
  expect(world.choice.isSharing).toBe(false);
  // and comes back when the core is free again
  world.all = { busy: 1, own: 0.8, others: 0.7, bytes: 140 };
  world.run(60_000);
  expect(world.choice.isSharing).toBe(true);
});

test('a silence ends it', () => {
  const world = new World();
  world.run(200);
  expect(world.choice.isSharing).toBe(true);
  world.rest(1000);
  expect(world.choice.isSharing).toBe(false);
});
