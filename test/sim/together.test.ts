/** Initiations that arrive together are worked on in step (src/protocol/responder.ts); nobody may notice but by the time it takes. */
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

test('good ones, bad ones and a response in one batch each get what they would get alone, in their order', () => {
  const { sim, target, peers, twins } = world(4);
  // the target calls peer 3, whose response is caught
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
    new Handmade(target).initiation(), // nobody's
    twins[1]!.initiation(), // too soon
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

test('each answer is for the one who asked, and opens for nobody else', () => {
  const { sim, target, peers } = world(8);
  // all of them call at one instant, so that their initiations land together
  const payloads = peers.map(peer => sim.send(peer, target));
  sim.run(100);
  for (const payload of payloads) expect(sim.wasDelivered(payload)).toBe(true);
  const responses = sim.sentBy(target, RESPONSE).map(sent => sent.bytes);
  expect(responses.map(bytes => bytes.length)).toEqual(peers.map(() => RESPONSE_SIZE));
  expect(new Set(responses.map(bytes => bytes.slice(RESPONSE_RECEIVER, RESPONSE_RECEIVER + 4).join())).size).toBe(8);
});

test('more than there is room to answer wait for the next turn, and none is lost', () => {
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
