/**
 * A snapshot of a virtual machine that is restored twice: two engines go on from one state, and the
 * watch sees what both seal. The peer is another machine and lives on. All of it takes less time
 * than a session lasts, because a snapshot also restores the clock.
 */
import { expect, test } from 'vitest';
import { MESSAGE_RESPONSE as RESPONSE } from '../../src/packet/message-type.ts';
import type { FullEngineState } from '../../src/protocol/engine-state.ts';
import { type Random, withSeed } from '../support/random.ts';
import { pair, session, swallow } from './pair.ts';
import type { SimNode } from './sim-node.ts';
import type { Simulation } from './simulation.ts';

/** Takes a snapshot of a node, which goes on as the first copy. */
function snapshot(node: SimNode): FullEngineState {
  const memory = structuredClone(node.engine.freeze()) as FullEngineState;
  node.engine.thaw();
  return memory;
}

/** Restores it, as another copy. */
const restore = (node: SimNode, memory: FullEngineState) => {
  node.engine.freeze();
  node.takeOver(structuredClone(memory));
};

/** Sends in both directions for some seconds. */
function live(sim: Simulation, a: SimNode, b: SimNode, random: Random): void {
  for (let i = 10 + random.below(20); i > 0; i--) {
    if (random.chance(0.7)) sim.send(a, b);
    if (random.chance(0.7)) sim.send(b, a);
    sim.run(random.below(1000));
  }
  // a copy's own nonces must be seen even if chance sent nothing
  sim.send(a, b);
  sim.run(1000);
}

function restoredTwice(random: Random, isNoticed: boolean): void {
  const { sim, a, b } = session({}, random.below(1000));
  live(sim, a, b, random);
  // Nothing may wait for an answer in the snapshot: the simulation does not restore its clock, so
  // the second copy would begin a new session at once and never use the first one's nonces.
  sim.send(b, a);
  sim.run(20);
  const memory = snapshot(a);
  for (let copy = 0; copy < 3; copy++) {
    if (copy > 0) restore(a, memory);
    if (isNoticed) a.engine.forgetSessions(sim.now);
    live(sim, a, b, random);
    const id = sim.send(a, b);
    sim.run(1000);
    expect(sim.wasDelivered(id)).toBe(true);
  }
}

test('a copy that got no notice uses nonces of the first', () => {
  withSeed(random => expect(() => restoredTwice(random, false)).toThrow(/used again under one key/));
});

test('copies that got the notice use no nonce twice', () => {
  for (let i = 0; i < 20; i++) withSeed(random => restoredTwice(random, true));
});

/** The snapshot was taken while A waited for a response, which both copies then receive. */
function restoredInHandshake(isNoticed: boolean): void {
  const { sim, a, b } = pair();
  swallow(sim, ({ bytes }) => bytes[0] === RESPONSE);
  sim.send(a, b);
  sim.run(100);
  const response = sim.sentBy(b, RESPONSE)[0]!.bytes;
  const memory = snapshot(a);
  for (let copy = 0; copy < 2; copy++) {
    if (copy > 0) restore(a, memory);
    if (isNoticed) a.engine.forgetSessions(sim.now);
    sim.inject(a.endpoint, b.endpoint, response);
    sim.run(100);
    sim.send(a, b);
    sim.run(100);
  }
}

test('a handshake that was under way gives both copies the same session, unless they get the notice', () => {
  expect(() => restoredInHandshake(false)).toThrow(/used again under one key/);
  restoredInHandshake(true);
});

test('randomness that was drawn in advance does not survive the notice', () => {
  const { sim, a, b } = session();
  for (let i = 0; i < 5; i++) {
    sim.send(a, b);
    sim.send(b, a);
    sim.run(20_000);
  }
  const before = snapshot(a);
  expect(before.dice.length).toBeGreaterThan(0);
  a.engine.forgetSessions(sim.now, false);
  const after = snapshot(a);
  // jitter itself needs none of it before the next timer
  expect([after.dice.length, after.nonces.length]).toEqual([0, 0]);
  expect(after.identity!.cookieSecret).toEqual(new Uint8Array(32));
  expect(after.identity!.cookieSecretBorn).toBe(Number.NEGATIVE_INFINITY);
});
