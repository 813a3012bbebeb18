/** The ways of a state to the next engine, and a simulation that records what can be seen of it. */
import { deserialize, serialize } from 'node:v8';
import type { Engine } from '../../src/protocol/engine.ts';
import type { EngineState, FullEngineState } from '../../src/protocol/engine-state.ts';
import type { SimNode } from './sim-node.ts';
import { Simulation } from './simulation.ts';

/** Returns the state as it arrives in another process. */
export const throughV8 = (state: EngineState): EngineState => deserialize(serialize(state)) as EngineState;

/** Each returns a copy that shares no memory with the state. */
export const WAYS: readonly ((state: EngineState) => EngineState)[] = [throughV8, state => structuredClone(state)];

/** Freezes an engine, and returns the state with the fields that are internal. */
export function frozenState(engine: Engine): FullEngineState {
  return engine.freeze() as FullEngineState;
}

/** Hands a node over as an upgrade does. */
export function handOver(node: SimNode): void {
  node.takeOver(throughV8(node.engine.freeze()));
}

/** Records each datagram and delivery with its time. */
export class RecordedSimulation extends Simulation {
  readonly #lines: string[] = [];

  override transmit(from: SimNode, destination: Uint8Array, bytes: Uint8Array): void {
    this.#record(`${from.index} sends to ${hex(destination)}`, bytes);
    super.transmit(from, destination, bytes);
  }

  override checkDelivery(node: SimNode, packet: Uint8Array): void {
    this.#record(`${node.index} delivers`, packet);
    super.checkDelivery(node, packet);
  }

  /** Returns all that was recorded, and what each node then shows and remembers. */
  record(): string[] {
    for (const node of this.nodes) {
      this.#lines.push(`${node.index} counters ${JSON.stringify(node.counters)}`);
      this.#lines.push(`${node.index} events ${JSON.stringify(node.events)}`);
      for (const local of node.locals) this.#record(`${node.index} local`, local);
      for (const peer of node.engine.status().peers)
        this.#lines.push(
          `${node.index} peer ${JSON.stringify(peer, (_, v) => (v instanceof Uint8Array ? hex(v) : v))}`,
        );
    }
    return this.#lines;
  }

  #record(what: string, bytes: Uint8Array): void {
    this.#lines.push(`${this.now} ${what} ${hex(bytes)}`);
  }
}

const hex = (bytes: Uint8Array): string => Buffer.from(bytes).toString('hex');
