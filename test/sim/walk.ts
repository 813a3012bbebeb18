/**
 * A random walk: a few nodes, a wire of changing quality, an active attacker, and administrators
 * who restart, move, reconfigure and upgrade nodes, which also crash. Then the wire recovers, and
 * traffic must flow again within the protocol's own time limits. Simulation and NonceWatch check
 * every step; this file checks only the recovery.
 */
import { withoutLocal } from '../../src/base/endpoint.ts';
import { KEEPALIVE_TIMEOUT, REKEY_TIMEOUT, REKEY_TIMEOUT_JITTER } from '../../src/protocol/constants.ts';
import { eraseEngineState } from '../../src/protocol/engine-state.ts';
import type { Random } from '../support/random.ts';
import { WAYS } from './hand-over.ts';
import type { SimNode } from './sim-node.ts';
import { Simulation } from './simulation.ts';

/**
 * A dead session is detected after 15 s of silence; the handshake may follow right after a lost
 * one.
 */
const HEAL_LIMIT = KEEPALIVE_TIMEOUT + REKEY_TIMEOUT + 3 * (REKEY_TIMEOUT + REKEY_TIMEOUT_JITTER);
/**
 * After a clock was set back, initiations must first pass the last timestamp; bounded by how far
 * walks set clocks back.
 */
const CLOCK_STEP_S = 20;

export function walk(random: Random, sim = new Simulation(random)): Simulation {
  const size = random.pick([2, 2, 2, 3, 4]);
  for (let i = 0; i < size; i++) sim.addNode();
  if (random.chance(0.4)) presharedKeys(sim);
  sim.mesh(random.chance(0.3) ? { persistentKeepalive: random.pick([1, 5, 25]) } : {});
  const steps = 10 + random.below(30);
  for (let step = 0; step < steps; step++) {
    if (random.chance(0.1)) replaceProcess(sim);
    else act(sim);
    sim.run(random.pick([0, 1, 20, 300, 4000, 6000]) * random.next());
    if (random.chance(0.02)) sim.run(random.pick([60_000, 130_000, 190_000, 600_000]));
  }
  heal(sim);
  return sim;
}

function act(sim: Simulation): void {
  const { random, nodes, wire } = sim;
  const node = random.pick(nodes);
  const other = random.pick(nodes.filter(n => n !== node));
  const dice = random.below(100);
  if (dice < 45) {
    const burst = random.pick([1, 1, 2, 5, 150]);
    for (let i = 0; i < burst; i++) sim.send(node, other, { size: random.below(1300), ipv6: random.chance(0.3) });
  } else if (dice < 50) {
    // both at the same time
    sim.send(node, other);
    sim.send(other, node);
  } else if (dice < 60) {
    wire.loss = random.pick([0, 0, 0.1, 0.5, 1]);
    wire.duplicate = random.pick([0, 0.2, 1]);
  } else if (dice < 66) {
    wire.latency = random.pick([0, 1, 50, 800, 3000]);
    wire.jitter = random.pick([0, 10, 1000, 8000]);
  } else if (dice < 70) wire.cut = random.chance(0.5);
  else if (dice < 74) node.restart();
  else if (dice < 78) node.wallOffset += BigInt(random.below(2 * CLOCK_STEP_S) - CLOCK_STEP_S) * 1_000_000_000n;
  else if (dice < 81) {
    // only one of them moves: two that move at the same time can never find each other again
    nodes[0]!.move(`198.51.100.${random.below(250) + 1}`, 1024 + random.below(60_000));
  } else if (dice < 83) {
    node.engine.down();
    sim.run(random.below(3000));
    node.engine.up(sim.now);
  } else if (dice < 86) {
    node.configure({ peers: [{ publicKey: other.publicKey, remove: true }] });
    sim.run(random.below(2000));
    node.configure({ peers: [node.peerConfig(other)] });
  } else if (dice < 88) node.configureMesh(node.peerSettings);
  else if (dice < 90) presharedKeys(sim, node, other);
  else interfere(sim);
}

/** Hands a node over to a new engine, or takes it back, or crashes it. */
function replaceProcess(sim: Simulation): void {
  const { random } = sim;
  const node = random.pick(sim.nodes);
  if (random.chance(0.25)) {
    sim.crashes++;
    node.crash();
    return;
  }
  const state = node.engine.freeze();
  // what arrives now is lost
  if (random.chance(0.3)) sim.run(random.below(200));
  if (random.chance(0.3)) {
    eraseEngineState(state);
    node.engine.thaw();
    return;
  }
  sim.handOvers++;
  const arrived = random.pick(WAYS)(state);
  eraseEngineState(state);
  node.takeOver(arrived);
}

/** An attacker on the wire: replays, reflects, alters and invents datagrams. */
function interfere(sim: Simulation): void {
  const { random, nodes, overheard } = sim;
  for (let i = random.below(20); i > 0; i--) {
    const heard = overheard.length > 0 ? random.pick(overheard) : undefined;
    const target = random.pick(nodes);
    if (!heard || random.chance(0.1)) {
      const junk = random.bytes(random.pick([0, 1, 31, 32, 64, 92, 148, random.below(1500)]));
      if (junk.length > 3 && random.chance(0.7)) junk.set([random.below(5), 0, 0, 0]);
      sim.inject(target.endpoint, random.pick(nodes).endpoint, junk);
      continue;
    }
    const deed = random.below(10);
    if (deed < 3) sim.inject(withoutLocal(heard.destination), heard.source, heard.bytes);
    else if (deed < 5) sim.inject(heard.source, target.endpoint, heard.bytes);
    else {
      const bent = Uint8Array.from(heard.bytes);
      bent[random.below(bent.length)]! ^= 1 << random.below(8);
      const cut = random.chance(0.2) ? bent.subarray(0, random.below(bent.length)) : bent;
      sim.inject(withoutLocal(heard.destination), heard.source, cut);
    }
  }
}

/** Repairs the wire. Every node sends to every other each second, and must be received in time. */
function heal(sim: Simulation): void {
  const { nodes, wire } = sim;
  Object.assign(wire, { loss: 0, duplicate: 0, latency: 10, jitter: 0, cut: false });
  sim.tamper = undefined;
  // datagrams in flight arrive
  sim.run(12_000);
  const began = sim.now;
  const clockDebt = CLOCK_STEP_S * 1000 * 2;
  for (;;) {
    const waiting: [SimNode, SimNode, number][] = [];
    for (const from of nodes) for (const to of nodes) if (from !== to) waiting.push([from, to, sim.send(from, to)]);
    sim.run(1000);
    if (waiting.every(([, , id]) => sim.wasDelivered(id))) return;
    if (sim.now - began > HEAL_LIMIT + clockDebt) {
      const dead = waiting
        .filter(([, , id]) => !sim.wasDelivered(id))
        .map(([from, to]) => `${from.index}->${to.index}`);
      throw new Error(
        `no traffic ${dead.join(', ')} ${Math.round((sim.now - began) / 1000)} s after the network healed`,
      );
    }
  }
}

function presharedKeys(sim: Simulation, a?: SimNode, b?: SimNode): void {
  for (const one of a ? [a] : sim.nodes)
    for (const two of b ? [b] : sim.nodes) {
      if (one.index >= two.index && !a) continue;
      const psk = sim.random.bytes(32);
      one.presharedKeys.set(two.index, psk);
      two.presharedKeys.set(one.index, psk);
      if (!a) continue;
      one.configure({ peers: [{ publicKey: two.publicKey, updateOnly: true, presharedKey: psk }] });
      two.configure({ peers: [{ publicKey: one.publicKey, updateOnly: true, presharedKey: psk }] });
    }
}
