/** The handshake between two hosts: lost, repeated, crossing, restarted, replayed. */
import { describe, expect, test } from 'vitest';
import { makePrefix } from '../../src/base/prefix.ts';
import { INITIATION_SIZE } from '../../src/packet/initiation.ts';
import {
  MESSAGE_INITIATION as INITIATION,
  MESSAGE_RESPONSE as RESPONSE,
  MESSAGE_TRANSPORT as TRANSPORT,
} from '../../src/packet/message-type.ts';
import { RESPONSE_SIZE } from '../../src/packet/response.ts';
import { seeded } from '../support/random.ts';
import { deliver, EVE, Handmade } from './handmade.ts';
import { pair, session, swallow } from './pair.ts';
import { innerAddress } from './payload.ts';
import { Simulation } from './simulation.ts';

const DAY = 86_400_000_000_000n;

describe('the first packet', () => {
  test('costs exactly one initiation and one response, and all staged packets are sent in order', () => {
    const { sim, a, b } = pair();
    const ids = Array.from({ length: 20 }, () => sim.send(a, b));
    sim.run(1000);
    expect(a.sentTypes).toEqual([INITIATION, ...new Array<number>(20).fill(TRANSPORT)]);
    expect(b.sentTypes).toEqual([RESPONSE]);
    expect(sim.sentBy(a, INITIATION)[0]!.bytes).toHaveLength(INITIATION_SIZE);
    expect(sim.sentBy(b, RESPONSE)[0]!.bytes).toHaveLength(RESPONSE_SIZE);
    expect(sim.arrived).toEqual(ids);
  });

  test('is carried in IPv6 as in IPv4', () => {
    const { sim, a, b } = pair();
    const ids = [sim.send(a, b, { ipv6: true }), sim.send(a, b, { ipv6: true, size: 1200 })];
    sim.run(1000);
    expect(sim.arrived).toEqual(ids);
  });

  test('sets the time of the last handshake on both sides, in Unix time', () => {
    const { sim, a, b, born } = session();
    const wall = 1_700_000_000 + born / 1000;
    expect(a.status(b).lastHandshakeSeconds + a.status(b).lastHandshakeNanoseconds / 1e9).toBeCloseTo(wall, 6);
    // the responder's time is that of the confirmation
    expect(b.status(a).lastHandshakeSeconds + b.status(a).lastHandshakeNanoseconds / 1e9).toBeCloseTo(wall + 0.01, 6);
    expect(sim.sentBy(b)).toHaveLength(1);
  });
});

describe('loss', () => {
  test('of the initiation: the next one carries everything', () => {
    const { sim, a, b } = pair();
    swallow(sim, s => s.bytes[0] === INITIATION && s.at === 1_000_000);
    const ids = [sim.send(a, b), sim.send(a, b)];
    sim.run(6000);
    expect(sim.arrived).toEqual(ids);
  });

  test('of the response: the next initiation is answered again, and everything arrives', () => {
    const { sim, a, b } = pair();
    swallow(sim, s => s.bytes[0] === RESPONSE && s.at < 1_001_000);
    const ids = [sim.send(a, b), sim.send(a, b)];
    sim.run(6000);
    expect(sim.arrived).toEqual(ids);
    expect(sim.sentBy(b, RESPONSE)).toHaveLength(2);
    expect(a.count('session')).toBe(1);
  });

  test('of the first packet under the session: the second confirms it', () => {
    const { sim, a, b } = pair();
    swallow(sim, s => s.bytes[0] === TRANSPORT && s.at < 1_001_000);
    sim.send(a, b);
    sim.run(2000);
    expect(b.count('session')).toBe(0);
    const id = sim.send(a, b);
    sim.run(100);
    expect([b.count('session'), sim.wasDelivered(id), sim.sentBy(a, INITIATION).length]).toEqual([1, true, 1]);
  });
});

describe('repetition and delay', () => {
  test('a response that comes twice makes one session', () => {
    const { sim, a, b } = pair();
    sim.wire.duplicate = 1;
    const id = sim.send(a, b);
    sim.run(1000);
    expect(sim.wasDelivered(id)).toBe(true);
    expect([a.count('session'), b.count('session')]).toEqual([1, 1]);
    // the index belongs to the session by then
    expect(a.counters.unknownReceiver).toBe(1);
    expect(b.counters.replayedInitiation).toBe(1);
    expect(sim.sentBy(b, RESPONSE)).toHaveLength(1);
  });

  test('a response is accepted at once and after almost 5 s', () => {
    for (const latency of [0, 0.01, 100, 2490]) {
      const { sim, a, b } = pair();
      sim.wire.latency = latency;
      const id = sim.send(a, b);
      sim.run(10_000);
      expect(sim.wasDelivered(id)).toBe(true);
      expect(sim.sentBy(a, INITIATION)).toHaveLength(1);
    }
  });

  test('the response to an initiation that a newer one replaced is refused', () => {
    const { sim, a, b } = pair();
    const stop = swallow(sim, s => s.bytes[0] === RESPONSE);
    sim.send(a, b);
    sim.run(100);
    const old = sim.sentBy(b, RESPONSE)[0]!;
    sim.wire.cut = true;
    sim.run(5400);
    stop();
    sim.wire.cut = false;
    sim.inject(a.endpoint, b.endpoint, old.bytes);
    sim.run(100);
    expect([a.count('session'), a.counters.unknownReceiver]).toEqual([0, 1]);
  });

  test('a replayed initiation is not answered at any time and ends no session', () => {
    const { sim, a, b, born } = session();
    const first = sim.sentBy(a, INITIATION)[0]!;
    for (const at of [5000, 60_000, 170_000]) {
      sim.runUntil(born + at);
      sim.inject(b.endpoint, EVE, first.bytes);
      sim.run(100);
    }
    expect(b.counters.replayedInitiation).toBe(3);
    expect(sim.sentBy(b, RESPONSE)).toHaveLength(1);
    const id = sim.send(b, a);
    sim.run(100);
    expect(sim.wasDelivered(id)).toBe(true);
  });
});

describe('both sides begin at the same time', () => {
  test('and both finish: nothing is lost, and neither side begins again', () => {
    const { sim, a, b } = pair();
    const ids = [sim.send(a, b), sim.send(b, a), sim.send(a, b), sim.send(b, a)];
    sim.run(1000);
    for (let i = 0; i < 100; i++) {
      ids.push(sim.send(a, b), sim.send(b, a));
      sim.run(1000);
    }
    expect(ids.filter(id => !sim.wasDelivered(id))).toEqual([]);
    expect([sim.sentBy(a, INITIATION).length, sim.sentBy(b, INITIATION).length]).toEqual([1, 1]);
  });

  test('with one response lost, the other one suffices', () => {
    const { sim, a, b } = pair();
    swallow(sim, s => s.from === a && s.bytes[0] === RESPONSE);
    const ids = [sim.send(a, b), sim.send(b, a)];
    sim.run(1000);
    expect(ids.map(id => sim.wasDelivered(id))).toEqual([true, true]);
  });
});

describe('a restart', () => {
  test('of the initiator: its next packet restores the session', () => {
    const { sim, a, b } = session();
    a.restart();
    const ids = [sim.send(a, b), sim.send(a, b)];
    sim.run(100);
    const back = sim.send(b, a);
    sim.run(100);
    expect([...ids, back].every(id => sim.wasDelivered(id))).toBe(true);
  });

  test('of the responder: its next packet restores the session at once', () => {
    const { sim, a, b } = session();
    sim.run(6000);
    b.restart();
    const id = sim.send(b, a);
    sim.run(100);
    expect(sim.wasDelivered(id)).toBe(true);
    const back = sim.send(a, b);
    sim.run(100);
    expect(sim.wasDelivered(back)).toBe(true);
  });

  test('of the responder: the initiator detects it after 15 s of silence', () => {
    const { sim, a, b } = session();
    b.restart();
    const lost = sim.send(a, b);
    sim.run(15_500);
    const id = sim.send(a, b);
    sim.run(100);
    expect([sim.wasDelivered(lost), sim.wasDelivered(id)]).toEqual([false, true]);
    expect(b.counters.unknownReceiver).toBe(1);
  });

  test('of both at once', () => {
    const { sim, a, b } = session();
    a.restart();
    b.restart();
    const ids = [sim.send(a, b), sim.send(b, a)];
    sim.run(6000);
    expect(ids.every(id => sim.wasDelivered(id))).toBe(true);
  });
});

describe('timestamps', () => {
  test('setting the clock back at runtime does not turn our initiations into replays', () => {
    const { sim, a, b, born } = session();
    a.wallOffset -= DAY;
    sim.runUntil(born + 181_000);
    const id = sim.send(a, b);
    sim.run(100);
    expect(sim.wasDelivered(id)).toBe(true);
    expect(b.counters.replayedInitiation).toBe(0);
  });

  test('a clock that was years ahead during one handshake does not lock us out', () => {
    const { sim, a, b } = pair();
    a.wallOffset = 3650n * DAY;
    sim.send(a, b);
    sim.run(200_000);
    a.wallOffset = 0n;
    const id = sim.send(a, b);
    sim.run(100);
    expect(sim.wasDelivered(id)).toBe(true);
  });

  test('a host that restarts with its clock set back is refused until the clock catches up or the peer is added again', () => {
    const { sim, a, b } = session();
    a.wallOffset -= DAY;
    a.restart();
    const first = sim.send(a, b);
    sim.run(20_000);
    expect(sim.wasDelivered(first)).toBe(false);
    expect(b.counters.replayedInitiation).toBeGreaterThan(2);
    b.configure({ peers: [{ publicKey: a.publicKey, remove: true }, b.peerConfig(a)] });
    sim.run(6000);
    expect(sim.wasDelivered(first)).toBe(true);
  });
});

describe('initiations of one peer', () => {
  test('less than 20 ms apart are not answered, even if each is valid and newer', () => {
    const { sim, a, b } = pair();
    const twin = new Handmade(b, a.privateKey);
    const messages = Array.from({ length: 10 }, () => twin.initiation());
    const answered: boolean[] = [];
    for (const message of messages) {
      const before = sim.sentBy(b, RESPONSE).length;
      deliver(b, a.endpoint, [message]);
      answered.push(sim.sentBy(b, RESPONSE).length > before);
      sim.now += 8;
    }
    // at 0, 24, 48, 72 ms
    expect(answered.map((yes, i) => (yes ? i : -1)).filter(i => i >= 0)).toEqual([0, 3, 6, 9]);
    expect(b.counters.initiationFlood).toBe(6);
  });

  test('refused for coming too early stay valid: they may be sent again in order', () => {
    const { sim, a, b } = pair();
    const twin = new Handmade(b, a.privateKey);
    const [first, second, third] = [twin.initiation(), twin.initiation(), twin.initiation()];
    deliver(b, a.endpoint, [first, third]);
    expect([b.sentTypes.length, b.counters.initiationFlood]).toEqual([1, 1]);
    for (const message of [second, third]) {
      sim.now += 20;
      deliver(b, a.endpoint, [message]);
    }
    expect(b.sentTypes).toEqual([RESPONSE, RESPONSE, RESPONSE]);
  });

  test('a flood of one peer does not block another', () => {
    const sim = new Simulation(seeded(3));
    const [a, b, c] = [sim.addNode(), sim.addNode(), sim.addNode()];
    sim.mesh();
    const twin = new Handmade(b, a.privateKey);
    deliver(b, a.endpoint, [twin.initiation(), twin.initiation(), twin.initiation()]);
    const id = sim.send(c, b);
    sim.run(100);
    expect(b.counters.initiationFlood).toBe(2);
    expect(sim.wasDelivered(id)).toBe(true);
  });

  test('from the key of no peer are not answered', () => {
    const { sim, a, b } = pair();
    const stranger = new Handmade(b);
    deliver(b, EVE, [stranger.initiation()]);
    expect([b.counters.unknownPeer, b.sentTypes.length]).toEqual([1, 0]);
    b.configure({
      peers: [{ publicKey: stranger.publicKey, allowedIps: [{ prefix: makePrefix(innerAddress(9, false), 32) }] }],
    });
    deliver(b, EVE, [stranger.initiation()]);
    expect(b.sentTypes).toEqual([RESPONSE]);
    expect(a.sentTypes).toEqual([]);
    expect(sim.delivered).toBe(0);
  });
});
