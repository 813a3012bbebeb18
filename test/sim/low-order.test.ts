/**
 * Points of low order: a DH with one is zero for any other key, so a peer that sends one could make
 * the session's keys predictable.
 */
import { expect, test } from 'vitest';
import { oneByOne } from '../../src/crypto/dh-many.ts';
import { opensslCrypto } from '../../src/crypto/node/openssl.ts';
import type { CryptoProvider } from '../../src/crypto/provider.ts';
import { INITIATION_EPHEMERAL } from '../../src/packet/initiation.ts';
import { RESPONSE_SIZE } from '../../src/packet/response.ts';
import { consumeInitiation, createResponse } from '../../src/protocol/handshake.ts';
import { LOW_ORDER } from '../support/low-order.ts';
import { seeded } from '../support/random.ts';
import { BareNode } from './bare-node.ts';
import { deliver, EVE, Handmade } from './handmade.ts';
import { pair } from './pair.ts';
import { makePacket } from './payload.ts';

/** A provider that uses a point of low order as every ephemeral key and accepts a zero DH. */
const mean = (point: Uint8Array): CryptoProvider => {
  const one = { publicKey: () => Uint8Array.from(point), dh: () => new Uint8Array(32) };
  return { ...opensslCrypto, ...one, ...oneByOne(one) };
};

test.each(LOW_ORDER.map((point, i) => [i, point] as const))(
  'an initiation of a genuine peer with ephemeral %i is refused and changes nothing',
  (_, point) => {
    const { sim, a, b } = pair();
    const twin = new Handmade(b, a.privateKey);
    const good = twin.initiation();
    // the same peer, with identity and time sealed for a zero DH
    const identity = twin.device.identity!;
    const shared = twin.peer.staticShared;
    const evil = new Handmade(b, a.privateKey, mean(point));
    Object.assign(evil.device, { identity });
    Object.assign(evil.peer, { staticShared: shared });
    const message = evil.initiation();
    expect(message.subarray(INITIATION_EPHEMERAL, INITIATION_EPHEMERAL + 32)).toEqual(point);
    const before = b.engine.status();
    deliver(b, EVE, [message]);
    expect(b.engine.status()).toEqual(before);
    expect([b.counters.badHandshake, b.sentTypes.length]).toEqual([1, 0]);
    // the refused one had a later timestamp, which must not block this one
    deliver(b, a.endpoint, [good]);
    expect(b.sentTypes).toHaveLength(1);
    expect(sim.delivered).toBe(0);
  },
);

test.each(LOW_ORDER.map((point, i) => [i, point] as const))(
  'a response of a genuine peer with ephemeral %i is refused, and the genuine one is still accepted',
  (_, point) => {
    const random = seeded(1);
    const [a, b] = [new BareNode(random, 0), new BareNode(random, 1)];
    const ofB = a.meet(b);
    b.meet(a);
    a.send(makePacket(0, 1, 1, 40, false));
    const initiation = a.take()[0]!;
    const responses = [mean(point), opensslCrypto].map(crypto => {
      const node = new BareNode(seeded(2), 1);
      node.device.setIdentity(b.device.identity!.privateKey);
      const peer = node.meet(a);
      const consumed = consumeInitiation(node.device, initiation, node.now);
      if (typeof consumed === 'string') throw new Error(consumed);
      const response = new Uint8Array(RESPONSE_SIZE);
      // the state keeps its original provider; DH and keys come from the malicious one
      Object.assign(node.device, { crypto });
      expect(createResponse(node.device, consumed, response, node.now)).toBe(true);
      peer.cookies.addMacs(response, node.now);
      return response;
    });
    a.receive(b.endpoint, responses[0]!);
    expect([a.device.counters.badHandshake, a.device.counters.sessions]).toEqual([1, 0]);
    expect(ofB.pending).toBeDefined();
    a.receive(b.endpoint, responses[1]!);
    expect(a.device.counters.sessions).toBe(1);
  },
);

test('a peer whose static key is of low order has no shared secret, in either role', () => {
  for (const point of LOW_ORDER) {
    const node = new BareNode(seeded(3), 0);
    const peer = node.device.addPeer(point);
    expect(peer.staticShared).toBeUndefined();
    peer.endpoint.set(EVE);
    node.sender.initiate(peer, node.now);
    node.send();
    expect(node.take()).toEqual([]);
  }
});

test.each(LOW_ORDER.map((point, i) => [i, point] as const))(
  'an initiation in the name of a peer whose configured key is low-order point %i is refused',
  (_, point) => {
    const { a, b } = pair();
    b.configure({ peers: [{ publicKey: point }] });
    const evil = new Handmade(b, a.privateKey);
    // with a zero DH of both static keys, everyone could seal the time
    Object.assign(evil.device, { identity: { ...evil.device.identity!, publicKey: point } });
    Object.assign(evil.peer, { staticShared: new Uint8Array(32) });
    deliver(b, EVE, [evil.initiation()]);
    expect([b.counters.badHandshake, b.counters.unknownPeer, b.sentTypes.length]).toEqual([1, 0, 0]);
  },
);
