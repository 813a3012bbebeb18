/**
 * Makes the handshake initiations of thousands of peers in advance with our own Noise code, so that
 * the program that sends them has little to do. The timestamps of each peer increase from round to
 * round, as a responder requires. No initiation is sent twice to the same daemon.
 */
import { randomBytes } from 'node:crypto';
import { createNativeCrypto } from '#dist/crypto/node/native.js';
import { opensslCrypto } from '#dist/crypto/node/openssl.js';
import { nativeBinding } from '#dist/io/native-binding.js';
import { writeU32le } from '#dist/packet/byte-order.js';
import {
  INITIATION_EPHEMERAL,
  INITIATION_SENDER,
  INITIATION_SIZE,
  INITIATION_STATIC,
  INITIATION_TIMESTAMP,
} from '#dist/packet/initiation.js';
import { MESSAGE_INITIATION } from '#dist/packet/message-type.js';
import { CONSTRUCTION, IDENTIFIER } from '#dist/protocol/constants.js';
import { CookieJar } from '#dist/protocol/cookie.js';
import { SymmetricState, writeMessageOne } from '#dist/protocol/noise.js';
import { tai64n } from '#dist/protocol/tai64n.js';
import { type KeyPair, makeKeyPair } from './keys.ts';

export interface Initiations {
  readonly responder: KeyPair;
  /** The public keys of the peers. */
  readonly publicKeys: readonly Uint8Array[];
  /**
   * Messages of INITIATION_SIZE bytes with mac1: all peers of the first round, then all peers of
   * the next, and so on. Message i has sender index i.
   */
  readonly messages: Uint8Array;
}

/**
 * Nanoseconds between rounds. Timestamps are rounded; this is more than one rounding step, so every
 * round has a later timestamp.
 */
const ROUND = 100_000_000n;
const ascii = (text: string): Uint8Array => Uint8Array.from(Buffer.from(text, 'latin1'));

export function makeInitiations(peers: number, rounds: number): Initiations {
  const crypto = createNativeCrypto(nativeBinding()) ?? opensslCrypto;
  const [construction, identifier] = [ascii(CONSTRUCTION), ascii(IDENTIFIER)];
  const responder = makeKeyPair();
  const jar = new CookieJar(crypto, responder.publicKey);
  const initiators = Array.from({ length: peers }, () => {
    const own = makeKeyPair();
    return { own, shared: crypto.dh(own.privateKey, responder.publicKey)! };
  });
  const messages = new Uint8Array(peers * rounds * INITIATION_SIZE);
  const wall = BigInt(Date.now()) * 1_000_000n;
  for (let i = 0; i < peers * rounds; i++) {
    const { own, shared } = initiators[i % peers]!;
    const message = messages.subarray(i * INITIATION_SIZE, (i + 1) * INITIATION_SIZE);
    const state = SymmetricState.start(crypto, construction, identifier, responder.publicKey);
    const timestamp = tai64n(wall + BigInt(Math.floor(i / peers)) * ROUND);
    const ephemeral = Uint8Array.from(randomBytes(32));
    const one = writeMessageOne(crypto, state, own, ephemeral, responder.publicKey, shared, timestamp)!;
    writeU32le(message, 0, MESSAGE_INITIATION);
    writeU32le(message, INITIATION_SENDER, i);
    message.set(one.ephemeral, INITIATION_EPHEMERAL);
    message.set(one.static, INITIATION_STATIC);
    message.set(one.payload, INITIATION_TIMESTAMP);
    jar.addMacs(message, 0);
  }
  return { responder, publicKeys: initiators.map(({ own }) => own.publicKey), messages };
}
