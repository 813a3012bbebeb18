/**
 * Devices that lend all their work to lanes, which do it late and in a random order (LateLanes).
 * What leaves a device must be what it is without lanes: the same packets, once, in their order.
 */
import { describe, expect, test } from 'vitest';
import { makePacket } from '../sim/payload.ts';
import { type MemoryMachine, MemoryPair } from '../support/memory-pair.ts';
import { type Random, withSeed } from '../support/random.ts';

const CASES = Number(process.env['LANES_CASES'] ?? 15);

/** The protocol of makePacket(); others are ICMP errors. */
const EXPERIMENT = 253;

/** Numbers of the packets that a machine got, in order. */
const numbersAt = ({ tun }: MemoryMachine): number[] =>
  tun.written.filter(packet => packet[9] === EXPERIMENT).map(packet => Buffer.from(packet).readUInt32BE(20));

interface Traffic {
  readonly pair: MemoryPair;
  /** What each machine was sent. */
  readonly sent: Map<MemoryMachine, number[]>;
}

/** Sends bursts in both directions, and runs some of the wake-ups between them. */
function traffic(random: Random, hasLanes: boolean, between: (pair: MemoryPair) => void = () => {}): Traffic {
  const pair = new MemoryPair(random.below(2 ** 32), hasLanes);
  const sent = new Map<MemoryMachine, number[]>([
    [pair.a, []],
    [pair.b, []],
  ]);
  // with a session, no packet is staged, of which only 128 may wait
  pair.carry(pair.a, pair.b);
  pair.carry(pair.b, pair.a);
  for (const { tun } of [pair.a, pair.b]) tun.written.length = 0;
  let number = 0;
  for (let burst = 3 + random.below(6); burst > 0; burst--) {
    const [from, to] = random.chance(0.5) ? [pair.a, pair.b] : [pair.b, pair.a];
    for (let i = 1 + random.below(random.chance(0.2) ? 600 : 20); i > 0; i--) {
      from.tun.put(makePacket(from.index, to.index, number, random.below(1300), false));
      sent.get(to)!.push(number++);
    }
    pair.runSome(random.below(6));
    between(pair);
  }
  pair.run();
  return { pair, sent };
}

describe('lanes that are late', () => {
  test('packets arrive once and in order, as without lanes', () => {
    for (let i = 0; i < CASES; i++)
      withSeed(random => {
        const { pair, sent } = traffic(random, true);
        for (const [machine, numbers] of sent) expect(numbersAt(machine)).toEqual(numbers);
        const { a, b } = pair;
        expect(a.lanes!.lent.sealed + b.lanes!.lent.sealed).toBeGreaterThan(0);
        expect(a.lanes!.lent.opened + b.lanes!.lent.opened).toBeGreaterThan(0);
        expect(a.lanes!.lent.written + b.lanes!.lent.written).toBeGreaterThan(0);
        for (const name of ['sendErrors', 'tunDropped', 'badTag', 'replayed', 'sealRefused'])
          expect([name, a.counters[name], b.counters[name]]).toEqual([name, 0, 0]);
        pair.close();
      });
  });

  test('a device that freezes has sent and delivered all that it had taken', () => {
    for (let i = 0; i < CASES; i++)
      withSeed(random => {
        const { pair, sent } = traffic(random, true, ({ a }) => {
          if (!random.chance(0.3)) return;
          // what makes a device one that can be handed over
          Object.assign(a.tun, { given: () => ({ descriptor: 0, kept: new Int32Array(4) }), pause: () => {} });
          a.loop.freeze();
          expect(a.lanes!.help()).toBe(false);
          a.loop.thaw();
        });
        for (const [machine, numbers] of sent) expect(numbersAt(machine)).toEqual(numbers);
        pair.close();
      });
  });

  test('sessions that end, and a peer that is removed, leave nothing that is opened or sealed late', () => {
    for (let i = 0; i < CASES; i++)
      withSeed(random => {
        const { pair, sent } = traffic(random, true, ({ a, b }) => {
          if (random.chance(0.2)) a.loop.forgetSessions('slept');
          if (random.chance(0.1)) a.loop.configure({ peers: [{ publicKey: b.publicKey, remove: true }] });
          else if (random.chance(0.3)) a.meet(b);
        });
        for (const [machine, numbers] of sent) {
          // some may be lost, none may be doubled, and their order stays
          const got = numbersAt(machine);
          expect(got).toEqual(numbers.filter(number => got.includes(number)));
        }
        pair.close();
      });
  });

  test('a device may close while lanes have its batches', () => {
    for (let i = 0; i < CASES; i++)
      withSeed(random => {
        const { pair } = traffic(random, true, ({ a }) => {
          if (random.chance(0.3)) a.loop.close();
        });
        pair.close();
        pair.run();
      });
  });
});
