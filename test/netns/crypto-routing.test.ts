/**
 * Behaviours 14 and 15 of the kernel's netns test: a packet from a session must have a source
 * address that belongs to that peer, by longest prefix. The endpoint follows in any case, because
 * the sender is authenticated.
 */
import { afterAll, beforeAll, expect, it } from 'vitest';
import { sleep, until } from './command.ts';
import { PROGRAM } from './device.ts';
import { keyPair } from './keys.ts';
import { type Moved, movedPair } from './moved.ts';
import { describeWith, NETWORK } from './needs.ts';
import { INNER_A } from './pair.ts';
import { type Listener, listenUdp, sendUdp } from './traffic.ts';

describeWith(NETWORK, `crypto-key routing (${PROGRAM})`, () => {
  let lab: Moved;
  let inbox: Listener;
  beforeAll(async () => {
    lab = await movedPair();
    await lab.aim(4);
    await lab.one.device.set({ peers: [{ publicKey: lab.two.keys.publicKey, allowedIps: ['192.168.241.0/24'] }] });
    inbox = await listenUdp(lab.one.namespace, INNER_A[4], 1111);
  });
  afterAll(() => lab?.close());

  it('#14 crypto-RP: accepts a source inside the peer’s own prefix', async () => {
    await sendUdp(lab.two.namespace, INNER_A[4], 1111, 'from the owner');
    await until('the datagram', () => inbox.received().includes('from the owner'));
  });

  it('#15 crypto-RP: drops a source that another peer owns more specifically, but the endpoint follows', async () => {
    const { one, two } = lab;
    const narrow = keyPair();
    await one.device.set({ peers: [{ publicKey: narrow.publicKey, allowedIps: ['192.168.241.2/32'] }] });
    await two.device.set({ listenPort: 9997 });
    await sendUdp(two.namespace, INNER_A[4], 1111, 'from an impostor');
    await until(
      'the endpoint to follow',
      async () => (await one.device.peer(two.keys.publicKey)).endpoint === '127.0.0.1:9997',
    );
    await sleep(300);
    expect(inbox.received()).not.toContain('from an impostor');
    // Without the more specific owner, the same sender owns the address again.
    await one.device.set({ peers: [{ publicKey: narrow.publicKey, remove: true }] });
    await sendUdp(two.namespace, INNER_A[4], 1111, 'the owner again');
    await until('the datagram', () => inbox.received().includes('the owner again'));
    expect(inbox.received()).not.toContain('from an impostor');
  });
});
