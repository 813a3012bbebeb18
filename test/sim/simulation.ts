/**
 * A network of engines in virtual time: nodes with one address each, a wire that loses, repeats,
 * delays and reorders datagrams, an eavesdropper that records everything, and a clock that jumps to
 * the next event. Nothing waits: an hour passes in milliseconds.
 */

import { ENDPOINT_FAR_SIZE, ENDPOINT_PORT } from '../../src/base/endpoint.ts';
import type { PeerConfig } from '../../src/config/model.ts';
import { DeadlineQueue } from '../../src/protocol/deadline-queue.ts';
import type { Random } from '../support/random.ts';
import { NonceWatch } from './nonce-watch.ts';
import { MARKER, makePacket } from './payload.ts';
import { SimNode } from './sim-node.ts';

export interface Wire {
  /** Probability, 0 to 1. */
  loss: number;
  duplicate: number;
  /** Milliseconds; each datagram takes `latency` to `latency + jitter`, so jitter reorders. */
  latency: number;
  jitter: number;
  /** Drops every datagram. */
  cut: boolean;
}

export interface Sent {
  readonly at: number;
  readonly from: SimNode;
  readonly source: Uint8Array;
  readonly destination: Uint8Array;
  readonly bytes: Uint8Array;
}

interface Flight {
  readonly to: Uint8Array;
  readonly from: Uint8Array;
  readonly bytes: Uint8Array;
}

export class Simulation {
  now = 1_000_000;
  readonly random: Random;
  readonly nodes: SimNode[] = [];
  readonly wire: Wire = { loss: 0, duplicate: 0, latency: 10, jitter: 0, cut: false };
  readonly nonces = new NonceWatch();
  /** All datagrams that the eavesdropper recorded. */
  readonly overheard: Sent[] = [];
  keepOverheard = 2000;
  /** Called before each input of a node, for tests that hand over between any two inputs. */
  beforeInput: ((node: SimNode) => void) | undefined;
  /** What walks did, so that a test can require that they did it. */
  handOvers = 0;
  crashes = 0;
  /** Sees each datagram before the wire does, and may change or drop it. */
  tamper: ((sent: Sent) => Uint8Array | undefined) | undefined;
  /** Datagrams that arrive at the same time arrive in the order of sending. */
  readonly #flights = new DeadlineQueue<Flight[]>();
  readonly #landing = new Map<number, Flight[]>();
  #payloads = 0;
  readonly #inFlight = new Map<number, { bytes: Uint8Array; to: number; from: number }>();
  delivered = 0;
  /** Numbers of the delivered payloads, in the order of delivery at any node. */
  readonly arrived: number[] = [];

  constructor(random: Random) {
    this.random = random;
  }

  addNode(): SimNode {
    const node = new SimNode(this, this.nodes.length);
    this.nodes.push(node);
    return node;
  }

  /** Makes all nodes peers of each other, with 10.0.0.N/32 and fd00::N/128 behind node N. */
  mesh(peer: Partial<PeerConfig> = {}): void {
    for (const node of this.nodes) node.configureMesh(peer);
  }

  /** Runs the simulation until a time. */
  runUntil(end: number): void {
    for (;;) {
      const flight = this.#flights.earliest;
      let next = flight;
      let due: SimNode | undefined;
      for (const node of this.nodes)
        if (node.nextDeadline < next) {
          next = node.nextDeadline;
          due = node;
        }
      if (next > end) break;
      this.now = Math.max(this.now, next);
      if (due) due.timeout();
      else this.#arrive();
    }
    this.now = Math.max(this.now, end);
  }

  run(milliseconds: number): void {
    this.runUntil(this.now + milliseconds);
  }

  /** Sends a new payload from one node to another and returns its number. */
  send(from: SimNode, to: SimNode, options: { size?: number; ipv6?: boolean } = {}): number {
    const id = this.#payloads++;
    const packet = makePacket(from.index, to.index, id, options.size ?? MARKER.length + 4, options.ipv6 ?? false);
    this.#inFlight.set(id, { bytes: Uint8Array.from(packet), to: to.index, from: from.index });
    from.send([packet]);
    return id;
  }

  wasDelivered(id: number): boolean {
    return !this.#inFlight.has(id);
  }

  /** Checks a payload delivered at a node: at the right node, once, and unchanged. */
  checkDelivery(node: SimNode, packet: Uint8Array): void {
    const header = packet[0]! >> 4 === 4 ? 20 : 40;
    const id = new DataView(packet.buffer, packet.byteOffset).getUint32(header);
    const expected = this.#inFlight.get(id);
    if (!expected) throw new Error(`payload ${id} came out of node ${node.index} twice, or was never sent`);
    if (expected.to !== node.index)
      throw new Error(`payload ${id} for node ${expected.to} came out of node ${node.index}`);
    if (Buffer.compare(expected.bytes, packet) !== 0)
      throw new Error(`payload ${id} came out of node ${node.index} altered`);
    this.#inFlight.delete(id);
    this.delivered++;
    this.arrived.push(id);
  }

  /** Returns the recorded messages of a node, optionally of one type. */
  sentBy(node: SimNode, type?: number, since = 0): Sent[] {
    return this.overheard.filter(s => s.from === node && s.at >= since && (type === undefined || s.bytes[0] === type));
  }

  transmit(from: SimNode, destination: Uint8Array, bytes: Uint8Array): void {
    if (Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length).includes(MARKER))
      throw new Error('plaintext on the wire');
    const type = bytes[0]!;
    const known = type >= 1 && type <= 4 && bytes[1] === 0 && bytes[2] === 0 && bytes[3] === 0;
    if (!known) throw new Error(`what node ${from.index} sent is not a WireGuard message`);
    const sent: Sent = { at: this.now, from, source: from.endpoint, destination, bytes };
    this.overheard.push(sent);
    if (this.overheard.length > this.keepOverheard) this.overheard.shift();
    const onWire = this.tamper ? this.tamper(sent) : bytes;
    if (!onWire) return;
    const copies = this.random.chance(this.wire.duplicate) ? 2 : 1;
    for (let i = 0; i < copies; i++) this.inject(destination, from.endpoint, onWire);
  }

  /** Puts a datagram on the wire, genuine or forged. */
  inject(to: Uint8Array, from: Uint8Array, bytes: Uint8Array): void {
    if (this.wire.cut || this.random.chance(this.wire.loss)) return;
    const at = this.now + this.wire.latency + this.random.next() * this.wire.jitter;
    const flight = { to, from: Uint8Array.from(from), bytes: Uint8Array.from(bytes) };
    const together = this.#landing.get(at);
    if (together) together.push(flight);
    else {
      const first = [flight];
      this.#landing.set(at, first);
      this.#flights.push(at, first);
    }
  }

  #arrive(): void {
    const at = this.#flights.earliest;
    const together = this.#landing.get(at)!;
    const flight = together.shift()!;
    if (together.length === 0) {
      this.#landing.delete(at);
      this.#flights.pop();
    }
    const far = Buffer.from(flight.to.subarray(ENDPOINT_PORT, ENDPOINT_FAR_SIZE));
    const node = this.nodes.find(n => far.equals(n.endpoint.subarray(ENDPOINT_PORT, ENDPOINT_FAR_SIZE)));
    node?.receive(flight.from, flight.bytes);
  }
}
