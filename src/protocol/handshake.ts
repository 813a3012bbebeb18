/**
 * WireGuard's handshake messages (whitepaper sections 5.4.2 and 5.4.3; kernel noise.c):
 * Noise_IKpsk2 from noise.ts with WireGuard's prologue, a TAI64N timestamp as first payload, and
 * indices. Creates and consumes messages and derives sessions. Other files decide when; cookie.ts
 * handles the macs.
 */
import { newSecret } from '../base/bytes.ts';
import type { EphemeralJob, EphemeralKeys } from '../crypto/provider.ts';
import { readU32le, writeU32le } from '../packet/byte-order.ts';
import {
  INITIATION_EPHEMERAL,
  INITIATION_SENDER,
  INITIATION_SIZE,
  INITIATION_STATIC,
  INITIATION_STATIC_SIZE,
  INITIATION_TIMESTAMP,
  INITIATION_TIMESTAMP_SIZE,
} from '../packet/initiation.ts';
import { MESSAGE_INITIATION, MESSAGE_RESPONSE } from '../packet/message-type.ts';
import {
  RESPONSE_EMPTY,
  RESPONSE_EMPTY_SIZE,
  RESPONSE_EPHEMERAL,
  RESPONSE_RECEIVER,
  RESPONSE_SENDER,
  RESPONSE_SIZE,
} from '../packet/response.ts';
import { ascii, CONSTRUCTION, IDENTIFIER, INITIATIONS_PER_SECOND } from './constants.ts';
import type { CounterName } from './counters.ts';
import type { Device, Identity } from './device.ts';
import { Keypair } from './keypair.ts';
import {
  readMessageOnePayload,
  readMessageOneStatic,
  readMessageTwo,
  SymmetricState,
  writeMessageOne,
  writeMessageTwo,
} from './noise.ts';
import type { Peer } from './peer.ts';
import { compareTai64n } from './tai64n.ts';

const CONSTRUCTION_BYTES = ascii(CONSTRUCTION);
const IDENTIFIER_BYTES = ascii(IDENTIFIER);
const EMPTY = new Uint8Array(0);

/** What createResponse needs from an accepted initiation. */
export interface ConsumedInitiation {
  readonly peer: Peer;
  readonly state: SymmetricState;
  readonly ephemeral: Uint8Array;
  readonly remoteIndex: number;
}

/**
 * Writes an initiation without macs and stores it in the peer, replacing an earlier one.
 * @returns false if there is no private key, or the peer's key is of low order
 */
export function createInitiation(device: Device, peer: Peer, out: Uint8Array): boolean {
  const { identity, crypto } = device;
  if (!identity || !peer.staticShared) return false;
  const state = SymmetricState.start(crypto, CONSTRUCTION_BYTES, IDENTIFIER_BYTES, peer.publicKey);
  const ephemeralPrivate = newSecret(32);
  device.random(ephemeralPrivate);
  const timestamp = device.timestamp();
  const one = writeMessageOne(crypto, state, identity, ephemeralPrivate, peer.publicKey, peer.staticShared, timestamp);
  if (!one) {
    crypto.forget(ephemeralPrivate);
    return false;
  }
  device.forgetPending(peer);
  const pending = { peer, state, ephemeralPrivate, localIndex: 0 };
  pending.localIndex = device.indices.insert(pending);
  peer.pending = pending;
  out.fill(0, 0, INITIATION_SIZE);
  writeU32le(out, 0, MESSAGE_INITIATION);
  writeU32le(out, INITIATION_SENDER, pending.localIndex);
  out.set(one.ephemeral, INITIATION_EPHEMERAL);
  out.set(one.static, INITIATION_STATIC);
  out.set(one.payload, INITIATION_TIMESTAMP);
  logKeys(device, peer, ephemeralPrivate);
  return true;
}

/**
 * Consumes an initiation whose macs were verified. Changes the peer only if the message is valid.
 * @param es the DH of our key and the message's ephemeral, if precomputed in a batch
 */
export function consumeInitiation(
  device: Device,
  message: Uint8Array,
  now: number,
  es?: Uint8Array,
): ConsumedInitiation | CounterName {
  const { identity } = device;
  if (!identity) return 'badHandshake';
  const state = SymmetricState.start(device.crypto, CONSTRUCTION_BYTES, IDENTIFIER_BYTES, identity.publicKey);
  const result = readInitiation(device, identity, state, message, now, es);
  // as in the kernel, also of a refused message (wg_noise_handshake_consume_initiation)
  if (typeof result === 'string') state.erase();
  return result;
}

function readInitiation(
  device: Device,
  identity: Identity,
  state: SymmetricState,
  message: Uint8Array,
  now: number,
  es: Uint8Array | undefined,
): ConsumedInitiation | CounterName {
  const ephemeral = ephemeralOf(message);
  const sealedStatic = message.subarray(INITIATION_STATIC, INITIATION_STATIC + INITIATION_STATIC_SIZE);
  const publicKey = readMessageOneStatic(device.crypto, state, identity, ephemeral, sealedStatic, es);
  if (!publicKey) return 'badHandshake';
  const peer = device.peer(publicKey);
  if (!peer) return 'unknownPeer';
  if (!peer.staticShared) return 'badHandshake';
  const sealedTimestamp = message.subarray(INITIATION_TIMESTAMP, INITIATION_TIMESTAMP + INITIATION_TIMESTAMP_SIZE);
  const timestamp = readMessageOnePayload(state, peer.staticShared, sealedTimestamp);
  if (!timestamp) return 'badHandshake';
  if (compareTai64n(timestamp, peer.latestTimestamp) <= 0) return 'replayedInitiation';
  if (now - peer.lastInitiationConsumed < 1000 / INITIATIONS_PER_SECOND) return 'initiationFlood';
  peer.latestTimestamp.set(timestamp);
  peer.lastInitiationConsumed = now;
  return { peer, state, ephemeral, remoteIndex: readU32le(message, INITIATION_SENDER) };
}

/** Returns a copy of an initiation's ephemeral public key. */
export function ephemeralOf(initiation: Uint8Array): Uint8Array {
  return initiation.slice(INITIATION_EPHEMERAL, INITIATION_EPHEMERAL + 32);
}

/**
 * Returns the DH inputs of a response: its new ephemeral key, and the public keys to combine it
 * with.
 */
export function ephemeralJob(device: Device, { ephemeral, peer }: ConsumedInitiation): EphemeralJob {
  const privateKey = newSecret(32);
  device.random(privateKey);
  return { privateKey, publicKeys: [ephemeral, peer.publicKey] };
}

/**
 * Writes the response to an initiation, without macs, and begins a session that awaits
 * confirmation.
 * @param job holds the ephemeral key, which this function erases
 * @param keys the results of the job, if precomputed in a batch
 * @returns true, or why there is no response: the initiator's ephemeral is of low order, or no
 *   session is free
 */
export function createResponse(
  device: Device,
  consumed: ConsumedInitiation,
  out: Uint8Array,
  now: number,
  job: EphemeralJob = ephemeralJob(device, consumed),
  keys?: EphemeralKeys,
): true | CounterName {
  const { crypto } = device;
  const { peer, state } = consumed;
  const ephemeralPrivate = job.privateKey;
  const two = writeMessageTwo(
    crypto,
    state,
    ephemeralPrivate,
    consumed.ephemeral,
    peer.publicKey,
    peer.presharedKey,
    EMPTY,
    keys,
  );
  const keypair = two && beginSession(device, peer, state, false, consumed.remoteIndex, undefined, now);
  if (keypair) logKeys(device, peer, ephemeralPrivate);
  crypto.forget(ephemeralPrivate);
  if (!two) return 'badHandshake';
  if (!keypair) return 'noKeySlot';
  out.fill(0, 0, RESPONSE_SIZE);
  writeU32le(out, 0, MESSAGE_RESPONSE);
  writeU32le(out, RESPONSE_SENDER, keypair.localIndex);
  writeU32le(out, RESPONSE_RECEIVER, consumed.remoteIndex);
  out.set(two.ephemeral, RESPONSE_EPHEMERAL);
  out.set(two.payload, RESPONSE_EMPTY);
  return true;
}

/**
 * Consumes the response to our initiation and begins the session. Changes nothing if the response
 * is invalid.
 */
export function consumeResponse(device: Device, message: Uint8Array, now: number): Peer | CounterName {
  const { identity, crypto } = device;
  const pending = device.indices.lookup(readU32le(message, RESPONSE_RECEIVER));
  if (!pending || pending instanceof Keypair) return 'unknownReceiver';
  if (!identity) return 'badHandshake';
  // a forged response must not keep the real one from completing the handshake
  const state = pending.state.clone();
  const ephemeral = message.slice(RESPONSE_EPHEMERAL, RESPONSE_EPHEMERAL + 32);
  const sealed = message.subarray(RESPONSE_EMPTY, RESPONSE_EMPTY + RESPONSE_EMPTY_SIZE);
  const { peer, ephemeralPrivate } = pending;
  const payload = readMessageTwo(crypto, state, identity, ephemeralPrivate, ephemeral, peer.presharedKey, sealed);
  if (!payload) {
    state.erase();
    return 'badHandshake';
  }
  const remoteIndex = readU32le(message, RESPONSE_SENDER);
  const keypair = beginSession(device, peer, state, true, remoteIndex, pending.localIndex, now);
  if (!keypair) return 'noKeySlot';
  // the index now belongs to the session
  pending.state.erase();
  crypto.forget(pending.ephemeralPrivate);
  peer.pending = undefined;
  return peer;
}

/** Consumes the state, also if no session is free. */
function beginSession(
  device: Device,
  peer: Peer,
  state: SymmetricState,
  initiator: boolean,
  remoteIndex: number,
  ownIndex: number | undefined,
  now: number,
): Keypair<Peer> | undefined {
  const sendSlot = device.slots.take();
  const receiveSlot = device.slots.take();
  if (sendSlot < 0 || receiveSlot < 0) {
    if (sendSlot >= 0) device.slots.give(sendSlot);
    state.erase();
    return undefined;
  }
  const [toResponder, toInitiator] = state.split();
  device.cipher.setKey(sendSlot, initiator ? toResponder : toInitiator);
  device.cipher.setKey(receiveSlot, initiator ? toInitiator : toResponder);
  toResponder.fill(0);
  toInitiator.fill(0);
  state.erase();
  const make = (localIndex: number) =>
    new Keypair({ peer, sendSlot, receiveSlot, localIndex, remoteIndex, initiator, born: now });
  let keypair: Keypair<Peer>;
  if (ownIndex !== undefined) {
    keypair = make(ownIndex);
    device.indices.replace(ownIndex, keypair);
  } else keypair = device.indices.insertWith(make);
  peer.keypairs.add(keypair);
  device.counters.sessions++;
  return keypair;
}

function logKeys(device: Device, peer: Peer, ephemeralPrivate: Uint8Array): void {
  if (!device.keyLog || !device.identity) return;
  device.keyLog('LOCAL_STATIC_PRIVATE_KEY', device.identity.privateKey);
  device.keyLog('REMOTE_STATIC_PUBLIC_KEY', peer.publicKey);
  device.keyLog('LOCAL_EPHEMERAL_PRIVATE_KEY', ephemeralPrivate);
  device.keyLog('PRESHARED_KEY', peer.presharedKey);
}
