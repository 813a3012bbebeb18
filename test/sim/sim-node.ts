/** A host of a simulation: an engine that can be restarted, and its address. */
import { parseAddress } from '../../src/base/address.ts';
import { ENDPOINT_SIZE, makeEndpoint } from '../../src/base/endpoint.ts';
import { makePrefix } from '../../src/base/prefix.ts';
import type { DeviceConfig, PeerConfig, PeerStatus } from '../../src/config/model.ts';
import { opensslPacketAead } from '../../src/crypto/node/openssl-packet-aead.ts';
import {
  DATAGRAM_LENGTH,
  DATAGRAM_OFFSET,
  DATAGRAM_SEGMENT,
  DATAGRAM_STRIDE,
  type DatagramBatch,
  makeDatagramBatch,
  makePacketBatch,
  PACKET_LENGTH,
  PACKET_OFFSET,
  PACKET_STRIDE,
  type PacketBatch,
  VNET_HEADER_SIZE,
} from '../../src/packet/batch.ts';
import type { Counters } from '../../src/protocol/counters.ts';
import type { DeviceOptions } from '../../src/protocol/device.ts';
import { Engine } from '../../src/protocol/engine.ts';
import { type EngineState, eraseEngineState } from '../../src/protocol/engine-state.ts';
import type { EngineEvent } from '../../src/protocol/output.ts';
import { TwinCipher } from '../../src/protocol/transport-twin.ts';
import { cryptoProviders } from '../support/crypto-providers.ts';
import { innerAddress } from './payload.ts';
import type { Simulation } from './simulation.ts';

/**
 * The fastest provider of this machine: ten thousand walks are mostly X25519, and all providers
 * give the same results.
 */
const crypto = cryptoProviders.at(-1)!;
/** Shared by all nodes: each input is drained before the next. */
const datagramBatch = makeDatagramBatch(65_536, 1);
const packetBatch = makePacketBatch(1 << 20, 256);

export class SimNode {
  readonly sim: Simulation;
  readonly index: number;
  readonly privateKey: Uint8Array;
  readonly publicKey: Uint8Array;
  engine: Engine;
  endpoint: Uint8Array;
  /** Added to the true time, in nanoseconds. */
  wallOffset = 0n;
  readonly events: { at: number; kind: EngineEvent['kind'] }[] = [];
  /** Datagrams sent, by type. */
  readonly sentTypes: number[] = [];
  /** Packets that the engine wrote for the host: ICMP errors. */
  readonly locals: Uint8Array[] = [];
  peerSettings: Partial<PeerConfig> = {};
  presharedKeys = new Map<number, Uint8Array>();

  constructor(sim: Simulation, index: number) {
    this.sim = sim;
    this.index = index;
    this.privateKey = sim.random.bytes(32);
    this.publicKey = crypto.publicKey(this.privateKey);
    this.endpoint = makeEndpoint(parseAddress(`192.0.2.${index + 1}`)!, 51820);
    this.engine = this.#boot();
  }

  get nextDeadline(): number {
    return this.engine.nextDeadline();
  }

  /**
   * Ends the process without a word, and starts another one with the same configuration, which
   * initiates to all peers at once.
   */
  crash(): void {
    const settings = this.peerSettings;
    this.engine = this.#boot();
    this.configureMesh({ ...settings, initiate: true });
    this.peerSettings = settings;
  }

  /** Restarts the host: its memory is lost, and the configuration is read again. */
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

  /** Makes an engine without any settings. */
  fresh(): Engine {
    return new Engine(this.#options());
  }

  /** Makes an engine that goes on with the state of the frozen one. */
  successor(state: EngineState): Engine {
    return new Engine(this.#options(), state);
  }

  /** Replaces the frozen engine by its successor, and erases everything that is left. */
  takeOver(state: EngineState): void {
    const next = this.successor(state);
    this.engine.close();
    eraseEngineState(state);
    this.engine = next;
  }

  configure(config: DeviceConfig): void {
    this.sim.beforeInput?.(this);
    this.engine.configure(config, this.sim.now);
    this.#drain();
  }

  send(packets: readonly Uint8Array[]): void {
    this.sim.beforeInput?.(this);
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
    this.sim.beforeInput?.(this);
    const batch = datagramBatch;
    batch.slab.set(bytes);
    batch.desc.set([0, bytes.length, 0, 0, 0]);
    batch.endpoints.set(from);
    batch.count = 1;
    this.engine.receive(batch, 0, this.sim.now);
    this.#drain();
  }

  /** Delivers many datagrams, or ranges of them, in one input. */
  receiveBatch(batch: DatagramBatch): void {
    for (let taken = 0; taken < batch.count; ) {
      this.sim.beforeInput?.(this);
      taken = this.engine.receive(batch, taken, this.sim.now);
      this.#drain();
    }
  }

  timeout(): void {
    this.sim.beforeInput?.(this);
    this.engine.timeout(this.sim.now);
    this.#drain();
  }

  count(kind: EngineEvent['kind']): number {
    return this.events.filter(event => event.kind === kind).length;
  }

  get counters(): Readonly<Counters> {
    return this.engine.counters;
  }

  /** Returns this node's status of another node, as `wg show` would print it. */
  status(of: SimNode): PeerStatus {
    const peer = this.engine.status().peers.find(p => Buffer.from(p.publicKey).equals(of.publicKey));
    if (!peer) throw new Error(`node ${of.index} is not a peer of node ${this.index}`);
    return peer;
  }

  /** Moves the host to another address and port. */
  move(address: string, port: number): void {
    this.endpoint = makeEndpoint(parseAddress(address)!, port);
  }

  #boot(): Engine {
    const engine = new Engine(this.#options());
    engine.configure({ privateKey: this.privateKey }, this.sim.now);
    engine.up(this.sim.now);
    return engine;
  }

  #options(): DeviceOptions {
    const { sim } = this;
    const cipher = sim.nonces.watch(new TwinCipher(opensslPacketAead));
    const wall = () => 1_700_000_000_000_000_000n + BigInt(Math.floor(sim.now * 1e6)) + this.wallOffset;
    const random = (bytes: Uint8Array) => sim.random.fill(bytes);
    return { crypto, cipher, random, wall, outputBytes: 256 * 1024 };
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
    this.#takeLocals(engine.locals);
    for (const event of engine.events) this.events.push({ at: sim.now, kind: event.kind });
    engine.drained();
  }

  #takeLocals({ slab, desc, count }: PacketBatch): void {
    for (let i = 0; i < count; i++) {
      const offset = desc[i * PACKET_STRIDE + PACKET_OFFSET]!;
      this.locals.push(slab.slice(offset, offset + desc[i * PACKET_STRIDE + PACKET_LENGTH]!));
    }
  }

  #takeDeliveries({ slab, desc, count }: PacketBatch): void {
    for (let i = 0; i < count; i++) {
      const offset = desc[i * PACKET_STRIDE + PACKET_OFFSET]!;
      this.sim.checkDelivery(this, slab.slice(offset, offset + desc[i * PACKET_STRIDE + PACKET_LENGTH]!));
    }
  }
}
