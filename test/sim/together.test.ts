/**
 * Initiations that arrive together are processed in step (src/protocol/responder.ts), which must
 * change nothing but the time it takes.
 */
import { expect, test } from 'vitest';
import { INITIATION_EPHEMERAL } from '../../src/packet/initiation.ts';
import {
  MESSAGE_COOKIE_REPLY as COOKIE,
  MESSAGE_RESPONSE as RESPONSE,
  MESSAGE_TRANSPORT as TRANSPORT,
} from '../../src/packet/message-type.ts';
import { RESPONSE_RECEIVER, RESPONSE_SIZE } from '../../src/packet/response.ts';
import { LOW_ORDER } from '../support/low-order.ts';
import { seeded } from '../support/random.ts';
import { deliver, EVE, Handmade, withMac1 } from './handmade.ts';
import { Simulation } from './simulation.ts';

function world(others: number) {
  const sim = new Simulation(seeded(1));
  const nodes = Array.from({ length: 1 + others }, () => sim.addNode());
  sim.mesh({});
  const [target, ...peers] = nodes;
  return { sim, target: target!, peers, twins: peers.map(peer => new Handmade(target!, peer.privateKey)) };
}

test('valid and invalid initiations and a response in one batch get the same results as alone, in order', () => {
  const { sim, target, peers, twins } = world(4);
  // the target initiates to peer 3, whose response is captured
  let response: Uint8Array | undefined;
  sim.tamper = ({ bytes, from }) => {
    if (bytes[0] !== RESPONSE || from !== peers[3]) return bytes;
    response = Uint8Array.from(bytes);
    return undefined;
  };
  sim.send(target, peers[3]!);
  sim.run(15);
  sim.tamper = undefined;
  const before = { ...target.counters };
  target.sentTypes.length = 0;
  const spoilt = twins[0]!.initiation();
  spoilt[60]! ^= 1;
  const lowOrder = twins[0]!.initiation();
  lowOrder.set(LOW_ORDER[1]!, INITIATION_EPHEMERAL);
  deliver(target, EVE, [
    withMac1(target, spoilt),
    twins[0]!.initiation(),
    withMac1(target, lowOrder),
    twins[1]!.initiation(),
    new Handmade(target).initiation(), // of no peer
    twins[1]!.initiation(), // too early
    response!,
    twins[2]!.initiation(),
  ]);
  target.timeout();
  const gained = Object.fromEntries(
    Object.entries(target.counters)
      .map(([name, value]) => [name, value - before[name as keyof typeof before]] as const)
      .filter(([, value]) => value !== 0),
  );
  expect(gained).toEqual({
    badHandshake: 2,
    handshakesAnswered: 3,
    initiationFlood: 1,
    sessions: 4,
    unknownPeer: 1,
  });
  expect(target.sentTypes).toEqual([RESPONSE, RESPONSE, TRANSPORT, RESPONSE]);
  for (const peer of [0, 1, 2])
    expect(target.status(peers[peer]!).endpoint?.subarray(0, 8)).toEqual(EVE.subarray(0, 8));
});

test('each answer is for its initiator, and no one else can open it', () => {
  const { sim, target, peers } = world(8);
  // all of them initiate at the same time, so that their initiations arrive together
  const payloads = peers.map(peer => sim.send(peer, target));
  sim.run(100);
  for (const payload of payloads) expect(sim.wasDelivered(payload)).toBe(true);
  const responses = sim.sentBy(target, RESPONSE).map(sent => sent.bytes);
  expect(responses.map(bytes => bytes.length)).toEqual(peers.map(() => RESPONSE_SIZE));
  expect(new Set(responses.map(bytes => bytes.slice(RESPONSE_RECEIVER, RESPONSE_RECEIVER + 4).join())).size).toBe(8);
});

test('initiations without room for an answer wait for the next turn, and none is lost', () => {
  const { sim, target, peers, twins } = world(100);
  deliver(
    target,
    EVE,
    twins.map(twin => twin.initiation()),
  );
  sim.run(200);
  expect(target.counters.handshakesAnswered).toBe(peers.length);
  expect(target.sentTypes.filter(type => type === COOKIE)).toEqual([]);
});
