/**
 * Roaming: the source of a peer's last authenticated message becomes its endpoint (whitepaper
 * section 2.1), and answers leave from the address it sent to.
 */
import { describe, expect, test } from 'vitest';
import { parseAddress } from '../../src/base/address.ts';
import {
  ENDPOINT_HAS_LOCAL,
  ENDPOINT_IFINDEX,
  ENDPOINT_LOCAL,
  formatEndpoint,
  makeEndpoint,
} from '../../src/base/endpoint.ts';
import { opensslCrypto } from '../../src/crypto/node/openssl.ts';
import {
  MESSAGE_COOKIE_REPLY as COOKIE_REPLY,
  MESSAGE_INITIATION as INITIATION,
  MESSAGE_RESPONSE as RESPONSE,
  MESSAGE_TRANSPORT as TRANSPORT,
} from '../../src/packet/message-type.ts';
import { CookieChecker } from '../../src/protocol/cookie.ts';
import { EVE } from './handmade.ts';
import { isKeepalive, pair, session, swallow } from './pair.ts';
import { makePacket } from './payload.ts';
import type { SimNode } from './sim-node.ts';

const NEW = '198.51.100.9:4242';
const at = (node: SimNode, of: SimNode) => formatEndpoint(node.status(of).endpoint!);
const move = (node: SimNode) => node.move('198.51.100.9', 4242);

describe('the endpoint follows a peer that moved', () => {
  test('on data, and answers go to the new endpoint', () => {
    const { sim, a, b } = session();
    move(a);
    sim.send(a, b);
    sim.run(20);
    expect(at(b, a)).toBe(NEW);
    expect(b.count('endpoint-changed')).toBe(1);
    const id = sim.send(b, a);
    sim.run(20);
    expect(sim.wasDelivered(id)).toBe(true);
  });

  test('but not to port 0, which cannot be answered', () => {
    const { sim, a, b } = session();
    const before = at(b, a);
    const id = sim.send(a, b);
    // anyone on the path can change the port, which is not authenticated
    const [sent] = sim.sentBy(a).slice(-1);
    b.receive(makeEndpoint(parseAddress('192.0.2.1')!, 0), sent!.bytes);
    expect([at(b, a), sim.wasDelivered(id)]).toEqual([before, true]);
  });

  test('on a keepalive', () => {
    const { sim, a, b } = session();
    sim.send(b, a);
    sim.run(20);
    move(a);
    sim.run(10_100);
    expect(sim.sentBy(a, TRANSPORT).filter(isKeepalive)).toHaveLength(1);
    expect(at(b, a)).toBe(NEW);
  });

  test('on an initiation, before a session exists', () => {
    const { sim, a, b } = pair();
    move(a);
    swallow(sim, s => s.bytes[0] === TRANSPORT);
    sim.send(a, b);
    sim.run(100);
    expect(at(b, a)).toBe(NEW);
    expect(formatEndpoint(sim.sentBy(b, RESPONSE)[0]!.destination)).toBe(NEW);
  });

  test('on a response', () => {
    const { sim, a, b } = pair();
    sim.tamper = s => {
      // B has moved by the time it answers
      if (s.from === b) move(b);
      return s.bytes;
    };
    sim.send(a, b);
    sim.run(100);
    expect(sim.sentBy(b, RESPONSE)).toHaveLength(1);
    expect([at(a, b), a.count('session')]).toEqual([NEW, 1]);
  });

  test('from IPv4 to IPv6 and back', () => {
    const { sim, a, b } = session();
    const home = formatEndpoint(a.endpoint);
    a.move('2001:db8::9', 4242);
    sim.send(a, b);
    sim.run(20);
    expect(at(b, a)).toBe('[2001:db8::9]:4242');
    a.move('192.0.2.1', 51820);
    sim.send(a, b);
    sim.run(20);
    expect(at(b, a)).toBe(home);
  });

  test('on a change of port only, as behind a restarted NAT', () => {
    const { sim, a, b } = session();
    a.move('192.0.2.1', 60_001);
    sim.send(a, b);
    sim.run(20);
    expect(at(b, a)).toBe('192.0.2.1:60001');
  });

  test('even by a packet with a forbidden source: roaming does not depend on the content', () => {
    const { sim, a, b } = session();
    move(a);
    a.send([makePacket(7, 1, 99, 40, false)]);
    sim.run(20);
    expect(b.counters.sourceNotAllowed).toBe(1);
    expect(at(b, a)).toBe(NEW);
  });
});

describe('the endpoint does not change', () => {
  test('on a forged or replayed message, or one of an unknown peer', () => {
    const { sim, a, b } = session();
    const home = formatEndpoint(a.endpoint);
    const initiation = sim.sentBy(a, INITIATION)[0]!.bytes;
    const data = sim.sentBy(a, TRANSPORT)[0]!.bytes;
    const bent = (bytes: Uint8Array, i: number) => {
      const copy = Uint8Array.from(bytes);
      copy[i]! ^= 0x10;
      return copy;
    };
    for (const bytes of [initiation, data, bent(initiation, 100), bent(data, 20), bent(data, 8), bent(data, 4)])
      sim.inject(b.endpoint, EVE, bytes);
    sim.run(100);
    expect(at(b, a)).toBe(home);
    expect(b.count('endpoint-changed')).toBe(0);
  });

  test('on a cookie reply, even a genuine one', () => {
    const { sim, a, b } = pair();
    swallow(sim, s => s.bytes[0] === INITIATION);
    sim.send(a, b);
    const initiation = sim.sentBy(a, INITIATION)[0]!.bytes;
    const reply = new Uint8Array(64);
    const checker = new CookieChecker(opensslCrypto, bytes => sim.random.fill(bytes), b.publicKey);
    checker.writeReply(reply, initiation, new DataView(initiation.buffer).getUint32(4, true), a.endpoint, 0, 0);
    expect(reply[0]).toBe(COOKIE_REPLY);
    sim.inject(a.endpoint, EVE, reply);
    sim.run(100);
    expect(a.count('cookie-received')).toBe(1);
    expect(at(a, b)).toBe(formatEndpoint(b.endpoint));
    expect(a.count('endpoint-changed')).toBe(0);
  });

  test('permanently if another address is configured: the next packet sets it again', () => {
    const { sim, a, b } = session();
    b.configure({ peers: [{ publicKey: a.publicKey, endpoint: EVE }] });
    sim.send(b, a);
    expect(sim.sentBy(b).at(-1)!.destination).toEqual(EVE);
    sim.send(a, b);
    sim.run(20);
    expect(at(b, a)).toBe(formatEndpoint(a.endpoint));
  });

  test('if the peer stays in place, and no event is emitted', () => {
    const { sim, a, b } = session();
    for (let i = 0; i < 10; i++) {
      sim.send(a, b);
      sim.run(100);
    }
    expect([a.count('endpoint-changed'), b.count('endpoint-changed')]).toEqual([0, 0]);
  });
});

describe('the local address', () => {
  /** The local part of an endpoint record: the address of B at which a datagram arrived. */
  function withLocal(from: SimNode, local: string): Uint8Array {
    const record = makeEndpoint(from.endpoint.subarray(4, 8), 51820);
    record[ENDPOINT_HAS_LOCAL] = 1;
    record.set(parseAddress(local)!, ENDPOINT_LOCAL);
    record[ENDPOINT_IFINDEX] = 3;
    return record;
  }

  /** A session whose last message to B arrived at 192.0.2.200. */
  function spokenTo() {
    const made = session();
    const { sim, a, b } = made;
    swallow(sim, s => s.from === a);
    sim.send(a, b);
    b.receive(withLocal(a, '192.0.2.200'), sim.sentBy(a, TRANSPORT).at(-1)!.bytes);
    sim.tamper = undefined;
    return made;
  }
  const lastLocal = ({ sim, b }: ReturnType<typeof session>) => {
    const { destination } = sim.sentBy(b).at(-1)!;
    return destination[ENDPOINT_HAS_LOCAL] === 1
      ? [...destination.subarray(ENDPOINT_LOCAL, ENDPOINT_LOCAL + 4)].join('.')
      : undefined;
  };

  test('that a message arrived at is the source of answers, and does not count as a move of the peer', () => {
    const made = spokenTo();
    made.sim.send(made.b, made.a);
    expect(lastLocal(made)).toBe('192.0.2.200');
    expect(made.b.count('endpoint-changed')).toBe(0);
  });

  test('is forgotten if nothing is received for 15 s', () => {
    const made = spokenTo();
    made.sim.wire.cut = true;
    made.sim.send(made.b, made.a);
    made.sim.run(15_400);
    expect(made.b.sentTypes.at(-1)).toBe(INITIATION);
    expect(lastLocal(made)).toBeUndefined();
  });

  test('is forgotten if routes change or an endpoint is configured', () => {
    const made = spokenTo();
    made.b.engine.routesChanged();
    made.sim.send(made.b, made.a);
    expect(lastLocal(made)).toBeUndefined();
    const other = spokenTo();
    other.b.configure({ peers: [{ publicKey: other.a.publicKey, endpoint: other.a.endpoint }] });
    other.sim.send(other.b, other.a);
    expect(lastLocal(other)).toBeUndefined();
  });
});
