/**
 * A network of engines in virtual time: nodes with an address each, a wire that loses, repeats, delays and reorders, an eavesdropper
 * who keeps everything, and a clock that leaps to the next thing that happens. Nothing here waits: an hour passes in
 * milliseconds.
 */

import { parseAddress } from '../../src/base/address.ts';
import { ENDPOINT_FAR_SIZE, ENDPOINT_SIZE, makeEndpoint } from '../../src/base/endpoint.ts';
import { makePrefix } from '../../src/base/prefix.ts';
import type { DeviceConfig, PeerConfig } from '../../src/config/model.ts';
import { opensslCrypto } from '../../src/crypto/openssl.ts';
import { opensslPacketAead } from '../../src/crypto/openssl-packet-aead.ts';
import {
  DATAGRAM_LENGTH,
  DATAGRAM_OFFSET,
  DATAGRAM_SEGMENT,
  DATAGRAM_STRIDE,
  makeDatagramBatch,
  makePacketBatch,
  PACKET_LENGTH,
  PACKET_OFFSET,
  PACKET_STRIDE,
  type PacketBatch,
  VNET_HEADER_SIZE,
} from '../../src/packet/batch.ts';
import { DeadlineQueue } from '../../src/protocol/deadline-queue.ts';
import { Engine } from '../../src/protocol/engine.ts';
import type { EngineEvent } from '../../src/protocol/output.ts';
import { TwinCipher } from '../../src/protocol/transport-twin.ts';
import type { Random } from '../support/random.ts';
import { NonceWatch } from './nonce-watch.ts';

export interface Wire {
  /** 0 .. 1 */
  loss: number;
  duplicate: number;
  /** Milliseconds; each datagram takes from `latency` to `latency + jitter`, so jitter reorders. */
  latency: number;
  jitter: number;
  /** Nobody hears anybody. */
  cut: boolean;
}

export interface Sent {
  readonly at: number;
  readonly from: SimNode;
  readonly source: Uint8Array;
  readonly destination: Uint8Array;
  readonly bytes: Uint8Array;
}

/** One of each is enough for all: an input is drained before the next. */
const datagramBatch = makeDatagramBatch(65_536, 1);
const packetBatch = makePacketBatch(1 << 20, 256);

const MARKER = Buffer.from('THIS MUST NEVER BE SEEN ON A WIRE');

export class Simulation {
  now = 1_000_000;
  readonly random: Random;
  readonly nodes: SimNode[] = [];
  readonly wire: Wire = { loss: 0, duplicate: 0, latency: 10, jitter: 0, cut: false };
  readonly nonces = new NonceWatch();
  /** The eavesdropper's notes. */
  readonly overheard: Sent[] = [];
  keepOverheard = 2000;
  /** Takes a look at, and may change or swallow, each datagram before the wire does. */
  tamper: ((sent: Sent) => Uint8Array | undefined) | undefined;
  readonly #flights = new DeadlineQueue<{ at: number; to: Uint8Array; from: Uint8Array; bytes: Uint8Array }>();
  #payloads = 0;
  readonly #inFlight = new Map<number, { bytes: Uint8Array; to: number; from: number }>();
  delivered = 0;

  constructor(random: Random) {
    this.random = random;
  }

  addNode(): SimNode {
    const node = new SimNode(this, this.nodes.length);
    this.nodes.push(node);
    return node;
  }

  /** Everyone a peer of everyone, by address; 10.0.0.N/32 and fd00::N/128 behind node N. */
  mesh(peer: Partial<PeerConfig> = {}): void {
    for (const node of this.nodes) node.configureMesh(peer);
  }

  /** Lets things happen until an instant. */
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

  /** Sends one new payload from node to node and returns its number. */
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

  /** What the model says of a payload that came out at a node: right place, first time, unchanged. */
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
  }

  transmit(from: SimNode, destination: Uint8Array, bytes: Uint8Array): void {
    if (Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length).includes(MARKER))
      throw new Error('plaintext on the wire');
    const type = bytes[0]!;
    const known = type >= 1 && type <= 4 && bytes[1] === 0 && bytes[2] === 0 && bytes[3] === 0;
    if (!known) throw new Error(`what node ${from.index} sent is no WireGuard message`);
    const sent: Sent = { at: this.now, from, source: from.endpoint, destination, bytes };
    this.overheard.push(sent);
    if (this.overheard.length > this.keepOverheard) this.overheard.shift();
    const onWire = this.tamper ? this.tamper(sent) : bytes;
    if (!onWire) return;
    const copies = this.random.chance(this.wire.duplicate) ? 2 : 1;
    for (let i = 0; i < copies; i++) this.inject(destination, from.endpoint, onWire);
  }

  /** Puts a datagram on the wire, whoever made it. */
  inject(to: Uint8Array, from: Uint8Array, bytes: Uint8Array): void {
    if (this.wire.cut || this.random.chance(this.wire.loss)) return;
    const at = this.now + this.wire.latency + this.random.next() * this.wire.jitter;
    this.#flights.push(at, { at, to, from: Uint8Array.from(from), bytes: Uint8Array.from(bytes) });
  }

  #arrive(): void {
    const flight = this.#flights.pop()!;
    const far = Buffer.from(flight.to.subarray(0, ENDPOINT_FAR_SIZE));
    const node = this.nodes.find(n => far.equals(n.endpoint.subarray(0, ENDPOINT_FAR_SIZE)));
    node?.receive(flight.from, flight.bytes);
  }
}

/** One host: an engine that can be restarted, and where it is. */
export class SimNode {
  readonly sim: Simulation;
  readonly index: number;
  readonly privateKey: Uint8Array;
  readonly publicKey: Uint8Array;
  engine: Engine;
  endpoint: Uint8Array;
  /** Added to the true time, nanoseconds. */
  wallOffset = 0n;
  readonly events: { at: number; kind: EngineEvent['kind'] }[] = [];
  /** Every datagram sent, by type. */
  readonly sentTypes: number[] = [];
  peerSettings: Partial<PeerConfig> = {};
  presharedKeys = new Map<number, Uint8Array>();

  constructor(sim: Simulation, index: number) {
    this.sim = sim;
    this.index = index;
    this.privateKey = sim.random.bytes(32);
    this.publicKey = opensslCrypto.publicKey(this.privateKey);
    this.endpoint = makeEndpoint(parseAddress(`192.0.2.${index + 1}`)!, 51820);
    this.engine = this.#boot();
  }

  get nextDeadline(): number {
    return this.engine.nextDeadline();
  }

  /** All that was in memory is gone; the configuration comes back from disk. */
  restart(): void {
    this.engine.close();
    this.engine = this.#boot();
    this.configureMesh(this.peerSettings);
  }

  configureMesh(peer: Partial<PeerConfig>): void {
    this.peerSettings = peer;
    const peers = this.sim.nodes.filter(node => node !== this).map(node => this.peerConfig(node));
    this.configure({ replacePeers: true, peers });
  }

  peerConfig(node: SimNode): PeerConfig {
    const psk = this.presharedKeys.get(node.index);
    return {
      publicKey: node.publicKey,
      endpoint: node.endpoint,
      ...(psk && { presharedKey: psk }),
      replaceAllowedIps: true,
      allowedIps: [
        { prefix: makePrefix(innerAddress(node.index, false), 32) },
        { prefix: makePrefix(innerAddress(node.index, true), 128) },
      ],
      ...this.peerSettings,
    };
  }

  configure(config: DeviceConfig): void {
    this.engine.configure(config, this.sim.now);
    this.#drain();
  }

  send(packets: readonly Uint8Array[]): void {
    const batch = packetBatch;
    let at = 0;
    batch.count = 0;
    for (const packet of packets) {
      batch.slab.fill(0, at, at + VNET_HEADER_SIZE);
      batch.slab.set(packet, at + VNET_HEADER_SIZE);
      batch.desc[batch.count * PACKET_STRIDE + PACKET_OFFSET] = at;
      batch.desc[batch.count++ * PACKET_STRIDE + PACKET_LENGTH] = packet.length + VNET_HEADER_SIZE;
      at += packet.length + VNET_HEADER_SIZE;
    }
    for (let taken = 0; taken < batch.count; ) {
      taken = this.engine.send(batch, taken, this.sim.now);
      this.#drain();
    }
  }

  receive(from: Uint8Array, bytes: Uint8Array): void {
    const batch = datagramBatch;
    batch.slab.set(bytes);
    batch.desc.set([0, bytes.length, 0, 0, 0]);
    batch.endpoints.set(from);
    batch.count = 1;
    this.engine.receive(batch, 0, this.sim.now);
    this.#drain();
  }

  timeout(): void {
    this.engine.timeout(this.sim.now);
    this.#drain();
  }

  count(kind: EngineEvent['kind']): number {
    return this.events.filter(event => event.kind === kind).length;
  }

  /** Moves to another address and port. */
  move(address: string, port: number): void {
    this.endpoint = makeEndpoint(parseAddress(address)!, port);
  }

  #boot(): Engine {
    const { sim } = this;
    const cipher = sim.nonces.watch(new TwinCipher(opensslPacketAead));
    const wall = () => 1_700_000_000_000_000_000n + BigInt(Math.floor(sim.now * 1e6)) + this.wallOffset;
    const random = (bytes: Uint8Array) => sim.random.fill(bytes);
    const engine = new Engine({ crypto: opensslCrypto, cipher, random, wall, outputBytes: 256 * 1024 });
    engine.configure({ privateKey: this.privateKey }, sim.now);
    engine.up(sim.now);
    return engine;
  }

  #drain(): void {
    const { engine, sim } = this;
    const { transmits } = engine;
    for (let i = 0; i < transmits.count; i++) {
      const at = i * DATAGRAM_STRIDE;
      const length = transmits.desc[at + DATAGRAM_LENGTH]!;
      const segment = transmits.desc[at + DATAGRAM_SEGMENT]! || length;
      const to = transmits.endpoints.slice(i * ENDPOINT_SIZE, (i + 1) * ENDPOINT_SIZE);
      for (let done = 0; done < length; done += segment) {
        const offset = transmits.desc[at + DATAGRAM_OFFSET]! + done;
        const bytes = transmits.slab.slice(offset, offset + Math.min(segment, length - done));
        this.sentTypes.push(bytes[0]!);
        sim.transmit(this, to, bytes);
      }
    }
    this.#takeDeliveries(engine.deliveries);
    for (const event of engine.events) this.events.push({ at: sim.now, kind: event.kind });
    engine.drained();
  }

  #takeDeliveries({ slab, desc, count }: PacketBatch): void {
    for (let i = 0; i < count; i++) {
      const offset = desc[i * PACKET_STRIDE + PACKET_OFFSET]!;
      this.sim.checkDelivery(this, slab.slice(offset, offset + desc[i * PACKET_STRIDE + PACKET_LENGTH]!));
    }
  }
}

export function innerAddress(index: number, ipv6: boolean): Uint8Array {
  return parseAddress(ipv6 ? `fd00::${(index + 1).toString(16)}` : `10.0.0.${index + 1}`)!;
}

/** An IP packet of protocol 253 (RFC 3692, for experiments) with a number and a marker in it. */
export function makePacket(from: number, to: number, id: number, size: number, ipv6: boolean): Uint8Array {
  const header = ipv6 ? 40 : 20;
  const packet = new Uint8Array(header + Math.max(4, size));
  const view = new DataView(packet.buffer);
  if (ipv6) {
    packet[0] = 0x60;
    view.setUint16(4, packet.length - 40);
    packet[6] = 253;
    packet[7] = 64;
    packet.set(innerAddress(from, true), 8);
    packet.set(innerAddress(to, true), 24);
  } else {
    packet[0] = 0x45;
    view.setUint16(2, packet.length);
    packet[8] = 64;
    packet[9] = 253;
    packet.set(innerAddress(from, false), 12);
    packet.set(innerAddress(to, false), 16);
  }
  view.setUint32(header, id);
  for (let i = header + 4; i < packet.length; i++) packet[i] = MARKER[(i - header - 4) % MARKER.length]!;
  return packet;
}
