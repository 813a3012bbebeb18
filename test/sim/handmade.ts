/** Handshake messages made outside of any node, with an attacker's key or with a node's. */
import { parseAddress } from '../../src/base/address.ts';
import { makeEndpoint } from '../../src/base/endpoint.ts';
import { opensslCrypto } from '../../src/crypto/node/openssl.ts';
import { opensslPacketAead } from '../../src/crypto/node/openssl-packet-aead.ts';
import type { CryptoProvider } from '../../src/crypto/provider.ts';
import { COOKIE_REPLY_SIZE } from '../../src/packet/cookie-reply.ts';
import { INITIATION_SIZE } from '../../src/packet/initiation.ts';
import { MESSAGE_COOKIE_REPLY, MESSAGE_INITIATION } from '../../src/packet/message-type.ts';
import { CookieJar } from '../../src/protocol/cookie.ts';
import { Device } from '../../src/protocol/device.ts';
import { createInitiation } from '../../src/protocol/handshake.ts';
import type { Peer } from '../../src/protocol/peer.ts';
import { TwinCipher } from '../../src/protocol/transport-twin.ts';
import { batchOf } from '../support/datagrams.ts';
import type { SimNode } from './sim-node.ts';
import type { Simulation } from './simulation.ts';

export const EVE = makeEndpoint(parseAddress('203.0.113.66')!, 6666);

/**
 * An initiator of one responder that sends any message at any time. Each initiation has a new
 * timestamp, 20 ms later.
 */
export class Handmade {
  readonly device: Device;
  readonly peer: Peer;
  readonly #sim: Simulation;

  constructor(target: SimNode, privateKey = target.sim.random.bytes(32), crypto: CryptoProvider = opensslCrypto) {
    const { sim } = target;
    this.#sim = sim;
    this.device = new Device({
      crypto,
      cipher: new TwinCipher(opensslPacketAead),
      random: bytes => sim.random.fill(bytes),
      wall: () => 1_700_000_000_000_000_000n + BigInt(Math.floor(sim.now * 1e6)),
    });
    this.device.setIdentity(privateKey);
    this.peer = this.device.addPeer(target.publicKey);
  }

  get publicKey(): Uint8Array {
    return this.device.identity!.publicKey;
  }

  initiation(): Uint8Array {
    const message = new Uint8Array(INITIATION_SIZE);
    if (!createInitiation(this.device, this.peer, message)) throw new Error('no initiation');
    this.peer.cookies.addMacs(message, this.#sim.now);
    return message;
  }

  /** Consumes the last cookie reply to an endpoint. */
  takeCookie(at: Uint8Array): boolean {
    const reply = this.#sim.overheard.findLast(
      s => s.bytes[0] === MESSAGE_COOKIE_REPLY && Buffer.from(s.destination).equals(at),
    );
    return reply?.bytes.length === COOKIE_REPLY_SIZE && this.peer.cookies.takeReply(reply.bytes, this.#sim.now);
  }
}

/** Delivers messages to a node as one batch. */
export function deliver(node: SimNode, from: Uint8Array, messages: readonly Uint8Array[]): void {
  node.receiveBatch(batchOf(messages.map(bytes => ({ to: from, bytes, tos: -1 }))));
}

/** Adds the target's mac1 to any message, which suffices for a flood. */
export function withMac1(target: SimNode, message: Uint8Array): Uint8Array {
  const made = Uint8Array.from(message);
  new CookieJar(opensslCrypto, target.publicKey).addMacs(made, 0);
  return made;
}

/** Queues `count` undecryptable initiations with a valid mac1 from one address. */
export function flood(target: SimNode, count: number, from = EVE): void {
  const junk = target.sim.random.bytes(INITIATION_SIZE);
  junk.set([MESSAGE_INITIATION, 0, 0, 0]);
  const message = withMac1(target, junk);
  deliver(target, from, new Array<Uint8Array>(count).fill(message));
}
