/** A handshake that is asked for beside a live session: `initiate_handshake=true`, this project's own line of the UAPI. */
import { describe, expect, test } from 'vitest';
import { MESSAGE_INITIATION as INITIATION } from '../../src/packet/message-type.ts';
import { session } from './pair.ts';

describe('a live session', () => {
  test('outlives a handshake that is asked for, which follows at once, however short a time ago the last was', () => {
    const { sim, a, b } = session();
    const talk = (): void => {
      const ids = [sim.send(a, b), sim.send(b, a)];
      sim.run(30);
      expect(ids.every(id => sim.wasDelivered(id))).toBe(true);
    };
    for (let round = 2; round < 6; round++) {
      const before = a.status(b).lastHandshakeNanoseconds;
      a.configure({ peers: [{ publicKey: b.publicKey, updateOnly: true, initiate: true }] });
      for (let i = 0; i < 10; i++) talk();
      expect(a.status(b).lastHandshakeNanoseconds).not.toBe(before);
      expect(sim.sentBy(a, INITIATION)).toHaveLength(round);
    }
    // nothing but the one: no retransmission, no other timer
    sim.run(8_000);
    expect(sim.sentBy(a, INITIATION)).toHaveLength(5);
  });

  test('that the other side lost is made good by a handshake that is asked for; without it, 15 s are lost', () => {
    const lost = (greets: false | 'asks' | 'makes anew'): number => {
      const { sim, a, b } = session();
      b.configure({ peers: [{ publicKey: a.publicKey, remove: true }] });
      b.configure({ peers: [b.peerConfig(a)] });
      const began = sim.now;
      sim.run(500);
      if (greets === 'asks') a.configure({ peers: [{ publicKey: b.publicKey, updateOnly: true, initiate: true }] });
      if (greets === 'makes anew') {
        // by a device that knows no such request
        const anew = { ...a.peerConfig(b), persistentKeepalive: 65_535 };
        a.configure({ peers: [{ publicKey: b.publicKey, remove: true }, anew] });
        a.configure({ peers: [{ publicKey: b.publicKey, updateOnly: true, persistentKeepalive: 0 }] });
      }
      for (;;) {
        const id = sim.send(a, b);
        sim.run(50);
        if (sim.wasDelivered(id)) return sim.now - began;
      }
    };
    expect(lost(false)).toBeGreaterThan(14_000);
    expect(lost('asks')).toBeLessThan(700);
    expect(lost('makes anew')).toBeLessThan(700);
  });

  test('a handshake that is asked for of nobody, of one without an endpoint, or of a device that is down does nothing', () => {
    const { sim, a, b } = session();
    const sent = sim.sentBy(a, INITIATION).length;
    const publicKey = sim.random.bytes(32);
    a.configure({ peers: [{ publicKey, updateOnly: true, initiate: true }] });
    expect(a.engine.status().peers).toHaveLength(1);
    a.configure({ peers: [{ publicKey, initiate: true }] });
    sim.run(10_000);
    expect(sim.sentBy(a, INITIATION)).toHaveLength(sent);
    a.engine.down();
    a.configure({ peers: [{ publicKey: b.publicKey, initiate: true }] });
    sim.run(10_000);
    expect(sim.sentBy(a, INITIATION)).toHaveLength(sent);
  });
});
