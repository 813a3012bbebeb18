/**
 * Behaviours 12, 13 and 16 of the kernel's netns test: an endpoint follows its peer, and a key may
 * change while running.
 */
import { afterAll, beforeAll, expect, it } from 'vitest';
import { PROGRAM } from './device.ts';
import { keyPair } from './keys.ts';
import { type Moved, movedPair, PORT_TWO } from './moved.ts';
import { describeWith, NETWORK } from './needs.ts';
import { INNER_A, INNER_B } from './pair.ts';
import { mustPing, ping } from './traffic.ts';

describeWith(NETWORK, `roaming (${PROGRAM})`, () => {
  let lab: Moved;
  beforeAll(async () => {
    lab = await movedPair();
    await lab.aim(4);
    await mustPing(lab.one.namespace, INNER_B[4]);
  });
  afterAll(() => lab?.close());

  it('#12: when address and port of a peer change, its endpoint follows (IPv4)', async () => {
    const { ns0, one, two } = lab;
    await ns0.ip('addr del 127.0.0.1/8 dev lo', 'addr add 127.212.121.99/8 dev lo');
    await one.device.set({
      listenPort: 9999,
      peers: [{ publicKey: two.keys.publicKey, endpoint: `127.0.0.1:${PORT_TWO}` }],
    });
    await mustPing(one.namespace, INNER_B[6]);
    expect(await two.device.show('endpoints')).toBe(`${one.keys.publicKey}\t127.212.121.99:9999`);
    // And back, to its current address.
    await mustPing(two.namespace, INNER_A[4]);
  });

  it('#13: an endpoint follows its peer from IPv4 to IPv6 and back', async () => {
    const { ns0, one, two } = lab;
    await one.device.set({
      listenPort: 9998,
      peers: [{ publicKey: two.keys.publicKey, endpoint: `[::1]:${PORT_TWO}` }],
    });
    await mustPing(one.namespace, INNER_B[4]);
    expect(await two.device.show('endpoints')).toBe(`${one.keys.publicKey}\t[::1]:9998`);
    await mustPing(two.namespace, INNER_A[6]);
    await ns0.ip('addr del 127.212.121.99/8 dev lo', 'addr add 127.0.0.1/8 dev lo');
    await one.device.set({ peers: [{ publicKey: two.keys.publicKey, endpoint: `127.0.0.1:${PORT_TWO}` }] });
    await mustPing(one.namespace, INNER_B[6]);
    expect(await two.device.show('endpoints')).toBe(`${one.keys.publicKey}\t127.0.0.1:9998`);
  });

  it('#16: a changed private key works at once under the new public key, and only there', async () => {
    const { one, two, psk } = lab;
    const changed = keyPair();
    await one.device.set({ privateKey: changed.privateKey });
    expect(await one.device.show('public-key')).toBe(changed.publicKey);
    expect((await ping(one.namespace, INNER_B[4], { count: 2 })).received).toBe(0);
    await two.device.set({
      peers: [
        { publicKey: changed.publicKey, presharedKey: psk, allowedIps: [`${INNER_A[4]}/32`, `${INNER_A[6]}/128`] },
        { publicKey: one.keys.publicKey, remove: true },
      ],
    });
    // The handshake that failed is retried after five seconds; a changed key starts a new one.
    await one.device.set({ privateKey: changed.privateKey });
    await mustPing(one.namespace, INNER_B[4], { wait: 8 });
    const peers = await two.device.peers();
    expect(peers.map(peer => peer.publicKey)).toEqual([changed.publicKey]);
    expect(peers[0]?.latestHandshake).toBeGreaterThan(0);
  });
});
