/**
 * A requested handshake beside a live session: `initiate_handshake=true`, this project's extension
 * of the UAPI.
 */
import { describe, expect, test } from 'vitest';
import { MESSAGE_INITIATION as INITIATION } from '../../src/packet/message-type.ts';
import { session } from './pair.ts';

describe('a live session', () => {
  test('survives a requested handshake, which begins at once, however recent the last one', () => {
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
    // only that one: no retransmission, no other timer
    sim.run(8_000);
    expect(sim.sentBy(a, INITIATION)).toHaveLength(5);
  });

  test('is renewed although a packet of the peer arrives before the handshake is sent', () => {
    const { sim, a, b } = session();
    a.configure({ peers: [{ publicKey: b.publicKey, updateOnly: true, initiate: true }] });
    sim.send(b, a);
    a.receive(b.endpoint, sim.sentBy(b).at(-1)!.bytes);
    sim.run(100);
    expect(sim.sentBy(a, INITIATION)).toHaveLength(2);
  });

  test('that the other side has lost is restored by a requested handshake; otherwise this takes 15 s', () => {
    const lost = (greets: false | 'asks' | 'makes anew'): number => {
      const { sim, a, b } = session();
      b.configure({ peers: [{ publicKey: a.publicKey, remove: true }] });
      b.configure({ peers: [b.peerConfig(a)] });
      const began = sim.now;
      sim.run(500);
      if (greets === 'asks') a.configure({ peers: [{ publicKey: b.publicKey, updateOnly: true, initiate: true }] });
      if (greets === 'makes anew') {
        // on a device that does not support the request
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

  test('a requested handshake does nothing for an unknown peer, a peer without endpoint, or a device that is down', () => {
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
