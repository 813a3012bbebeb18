/** Two nodes, as most scenarios need them: A initiates, B responds. */
import type { PeerConfig } from '../../src/config/model.ts';
import { MESSAGE_TRANSPORT } from '../../src/packet/message-type.ts';
import { TRANSPORT_OVERHEAD } from '../../src/packet/transport.ts';
import { seeded } from '../support/random.ts';
import type { SimNode } from './sim-node.ts';
import { type Sent, Simulation } from './simulation.ts';

export interface Pair {
  readonly sim: Simulation;
  readonly a: SimNode;
  readonly b: SimNode;
}

/** Configured for each other, nothing sent yet. */
export function pair(peer: Partial<PeerConfig> = {}, seed = 1): Pair {
  const sim = new Simulation(seeded(seed));
  const [a, b] = [sim.addNode(), sim.addNode()];
  sim.mesh(peer);
  return { sim, a, b };
}

export interface Session extends Pair {
  /** When the initiator got the session's keys; the responder got them 10 ms earlier. */
  readonly born: number;
}

/** With a session that A began and that a packet of A confirmed, 100 ms after its birth. */
export function session(peer: Partial<PeerConfig> = {}, seed = 1): Session {
  const { sim, a, b } = pair(peer, seed);
  const id = sim.send(a, b);
  sim.run(20);
  const born = sim.now;
  sim.run(100);
  if (!sim.wasDelivered(id) || a.count('session') !== 1) throw new Error('no session');
  return { sim, a, b, born };
}

export const isKeepalive = ({ bytes }: Sent): boolean =>
  bytes[0] === MESSAGE_TRANSPORT && bytes.length === TRANSPORT_OVERHEAD;

export const isData = ({ bytes }: Sent): boolean => bytes[0] === MESSAGE_TRANSPORT && bytes.length > TRANSPORT_OVERHEAD;

/** Drops the datagrams that match a predicate, until stopped. */
export function swallow(sim: Simulation, what: (sent: Sent) => boolean): () => void {
  sim.tamper = sent => (what(sent) ? undefined : sent.bytes);
  return () => {
    sim.tamper = undefined;
  };
}
