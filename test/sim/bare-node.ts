/**
 * The parts of an engine: the same flows over a device that a test can access, for states that take
 * too long to reach (2^60 messages) and for messages that no engine would send.
 */
import { createCipheriv } from 'node:crypto';
import { parseAddress } from '../../src/base/address.ts';
import { makeEndpoint } from '../../src/base/endpoint.ts';
import { makePrefix } from '../../src/base/prefix.ts';
import { opensslCrypto } from '../../src/crypto/node/openssl.ts';
import { opensslPacketAead } from '../../src/crypto/node/openssl-packet-aead.ts';
import type { CryptoProvider } from '../../src/crypto/provider.ts';
import {
  DATAGRAM_LENGTH,
  DATAGRAM_OFFSET,
  DATAGRAM_SEGMENT,
  DATAGRAM_STRIDE,
  makePacketBatch,
  PACKET_LENGTH,
  PACKET_STRIDE,
  VNET_HEADER_SIZE,
} from '../../src/packet/batch.ts';
import { MESSAGE_TRANSPORT } from '../../src/packet/message-type.ts';
import { Device } from '../../src/protocol/device.ts';
import { HandshakeQueue } from '../../src/protocol/handshake-queue.ts';
import { Inbound } from '../../src/protocol/inbound.ts';
import type { Keypair } from '../../src/protocol/keypair.ts';
import { Outbound } from '../../src/protocol/outbound.ts';
import type { Peer } from '../../src/protocol/peer.ts';
import { Sender } from '../../src/protocol/sender.ts';
import { TwinCipher } from '../../src/protocol/transport-twin.ts';
import { batchOf } from '../support/datagrams.ts';
import { type Random, seeded } from '../support/random.ts';
import { innerAddress } from './payload.ts';

export class BareNode {
  readonly index: number;
  readonly endpoint: Uint8Array;
  readonly device: Device;
  readonly sender: Sender;
  readonly inbound: Inbound;
  readonly outbound: Outbound;
  readonly queue: HandshakeQueue;
  /** The keys by slot, which an engine never reveals. */
  readonly #keys = new Map<number, Uint8Array>();
  /** Its output that the test has not collected yet. */
  sent: Uint8Array[] = [];
  delivered: Uint8Array[] = [];
  now = 1_000_000;

  constructor(random: Random, index: number, crypto: CryptoProvider = opensslCrypto) {
    this.index = index;
    this.endpoint = makeEndpoint(parseAddress(`192.0.2.${index + 1}`)!, 51820);
    const cipher = new TwinCipher(opensslPacketAead);
    const setKey = cipher.setKey.bind(cipher);
    cipher.setKey = (slot, key) => {
      this.#keys.set(slot, Uint8Array.from(key));
      setKey(slot, key);
    };
    this.device = new Device({
      crypto,
      cipher,
      random: bytes => random.fill(bytes),
      wall: () => 1_700_000_000_000_000_000n + BigInt(Math.floor(this.now * 1e6)),
    });
    this.device.running = true;
    this.sender = new Sender(this.device);
    this.queue = new HandshakeQueue(this.device, this.sender);
    this.inbound = new Inbound(this.device, this.sender, this.queue);
    this.outbound = new Outbound(this.device, this.sender);
    this.device.setIdentity(random.bytes(32));
  }

  meet(other: BareNode): Peer {
    const peer = this.device.addPeer(other.device.identity!.publicKey);
    peer.endpoint.set(other.endpoint);
    this.device.allowedIps.insert(makePrefix(innerAddress(other.index, false), 32), peer.id);
    return peer;
  }

  send(...packets: readonly Uint8Array[]): void {
    const batch = makePacketBatch(1 << 20, packets.length);
    let at = 0;
    for (const packet of packets) {
      batch.slab.set(packet, at + VNET_HEADER_SIZE);
      batch.desc[batch.count * PACKET_STRIDE] = at;
      batch.desc[batch.count++ * PACKET_STRIDE + PACKET_LENGTH] = packet.length + VNET_HEADER_SIZE;
      at += packet.length + VNET_HEADER_SIZE;
    }
    this.outbound.send(batch, 0, this.now);
    this.#drain();
  }

  receive(from: Uint8Array, ...messages: readonly Uint8Array[]): void {
    this.inbound.receive(batchOf(messages.map(bytes => ({ to: from, bytes, tos: -1 }))), 0, this.now);
    this.queue.process(32, this.now);
    this.#drain();
  }

  /** Returns everything sent since the last call. */
  take(): Uint8Array[] {
    return this.sent.splice(0);
  }

  /** Makes a message under one of its sessions, with any plaintext and counter. */
  seal(keypair: Keypair, counter: bigint, plaintext: Uint8Array): Uint8Array {
    const head = Buffer.alloc(16);
    head[0] = MESSAGE_TRANSPORT;
    head.writeUInt32LE(keypair.remoteIndex, 4);
    head.writeBigUInt64LE(counter, 8);
    const nonce = Buffer.concat([new Uint8Array(4), head.subarray(8)]);
    const seal = createCipheriv('chacha20-poly1305', this.#keys.get(keypair.sendSlot)!, nonce, { authTagLength: 16 });
    const body = Buffer.concat([seal.update(plaintext), seal.final()]);
    return new Uint8Array(Buffer.concat([head, body, seal.getAuthTag()]));
  }

  #drain(): void {
    const { transmits, deliveries } = this.device.output;
    for (let i = 0; i < transmits.count; i++) {
      const at = i * DATAGRAM_STRIDE;
      const end = transmits.desc[at + DATAGRAM_OFFSET]! + transmits.desc[at + DATAGRAM_LENGTH]!;
      const segment = transmits.desc[at + DATAGRAM_SEGMENT]! || transmits.desc[at + DATAGRAM_LENGTH]!;
      for (let from = transmits.desc[at + DATAGRAM_OFFSET]!; from < end; from += segment)
        this.sent.push(transmits.slab.slice(from, Math.min(from + segment, end)));
    }
    for (let i = 0; i < deliveries.count; i++) {
      const at = deliveries.desc[i * PACKET_STRIDE]!;
      this.delivered.push(deliveries.slab.slice(at, at + deliveries.desc[i * PACKET_STRIDE + PACKET_LENGTH]!));
    }
    this.device.output.clear();
  }
}

export interface BarePair {
  readonly a: BareNode;
  readonly b: BareNode;
  /** A's peer state for B, and B's for A. */
  readonly ofB: Peer;
  readonly ofA: Peer;
}

export function barePair(seed = 1): BarePair {
  const random = seeded(seed);
  const [a, b] = [new BareNode(random, 0), new BareNode(random, 1)];
  return { a, b, ofB: a.meet(b), ofA: b.meet(a) };
}

/** Delivers messages until both sides are silent. */
export function settle({ a, b }: BarePair): void {
  while (a.sent.length > 0 || b.sent.length > 0) {
    for (const message of a.take()) b.receive(a.endpoint, message);
    for (const message of b.take()) a.receive(b.endpoint, message);
  }
}
