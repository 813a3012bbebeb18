/** Puts nodes under load, and inspects their answers. */
import { UNDER_LOAD_HANDSHAKES } from '../../src/protocol/constants.ts';
import { flood } from './handmade.ts';
import { type Pair, pair } from './pair.ts';
import type { SimNode } from './sim-node.ts';
import type { Sent, Simulation } from './simulation.ts';

export const sentTo =
  (endpoint: Uint8Array) =>
  (sent: Sent): boolean =>
    Buffer.from(sent.destination).equals(endpoint);

/** The types of all messages that a node sent to an endpoint. */
export const answersTo = (sim: Simulation, node: SimNode, endpoint: Uint8Array): number[] =>
  sim
    .sentBy(node)
    .filter(sentTo(endpoint))
    .map(s => s.bytes[0]!);

/**
 * Queues enough handshakes at the node to put it under load for the next second, and lets it
 * process all of them.
 */
export function load(sim: Simulation, node: SimNode): void {
  flood(node, UNDER_LOAD_HANDSHAKES + 40);
  sim.run(0);
}

/** A pair with an eavesdropper whose record is large enough for floods. */
export function loaded(seed = 1): Pair {
  const made = pair({}, seed);
  made.sim.keepOverheard = 100_000;
  return made;
}
