/** Writes the state of a device (engine-state.ts). The device stays as it is. */
import { copySecret, newSecret } from '../base/bytes.ts';
import { KEY_SIZE } from '../base/key.ts';
import type { Device } from './device.ts';
import {
  type DeadlinesState,
  ENGINE_STATE_VERSION,
  eraseArrays,
  type FullEngineState,
  type KeypairState,
  type PeerState,
  type PendingState,
  PREFIX_RECORD_SIZE,
} from './engine-state.ts';
import type { HandshakeQueue } from './handshake-queue.ts';
import type { Keypair } from './keypair.ts';
import type { Outbound } from './outbound.ts';
import type { Peer } from './peer.ts';

/** Returns copies of all that a device and its flows remember. If it throws, none is left. */
export function freezeDevice(device: Device, handshakes: HandshakeQueue, outbound: Outbound): FullEngineState {
  const peers = [...device.eachPeer()];
  const copies: PeerState[] = [];
  const keys: Uint8Array[] = [];
  try {
    for (const peer of peers) copies.push(peerState(device, peer, keys));
    return { ...deviceState(device, handshakes, outbound), peers: copies, deadlines: deadlinesState(device, peers) };
  } catch (error) {
    eraseArrays([copies, keys]);
    throw error;
  }
}

function deviceState(
  device: Device,
  handshakes: HandshakeQueue,
  outbound: Outbound,
): Omit<FullEngineState, 'peers' | 'deadlines'> {
  const { identity } = device;
  return {
    version: ENGINE_STATE_VERSION,
    running: device.running,
    mtu: device.mtu,
    identity: identity && { privateKey: copySecret(identity.privateKey), ...identity.cookies.save() },
    lastTimestamp: device.lastTimestamp,
    dice: device.dice.save(),
    nonces: device.nonces.save(),
    queue: handshakes.save(),
    limiter: device.limiter.save(),
    outbound: outbound.save(),
    counters: { ...device.counters },
  };
}

/** @param keys receives each copy of a session's key as soon as it exists */
function peerState(device: Device, peer: Peer, keys: Uint8Array[]): PeerState {
  const { previous, current, next } = peer.keypairs;
  // first, because only these can fail
  const sessions = {
    previous: previous && keypairState(device, previous, keys),
    current: current && keypairState(device, current, keys),
    next: next && keypairState(device, next, keys),
  };
  return {
    publicKey: Uint8Array.from(peer.publicKey),
    presharedKey: copySecret(peer.presharedKey),
    staticShared: peer.staticShared && copySecret(peer.staticShared),
    endpoint: peer.endpoint.slice(),
    allowedIps: prefixRecords(device, peer),
    ...peer.timers.save(),
    ...sessions,
    pending: pendingState(peer),
    cookies: peer.cookies.save(),
    staged: peer.staged.save(),
    latestTimestamp: peer.latestTimestamp.slice(),
    lastInitiationConsumed: peer.lastInitiationConsumed,
    lastSentHandshake: peer.lastSentHandshake,
    handshakeAttempts: peer.handshakeAttempts,
    sentLastMinuteHandshake: peer.sentLastMinuteHandshake,
    lastHandshakeWall: peer.lastHandshakeWall,
    rxBytes: peer.rxBytes,
    txBytes: peer.txBytes,
  };
}

function keypairState({ cipher }: Device, keypair: Keypair, keys: Uint8Array[]): KeypairState {
  const sendKey = newSecret(KEY_SIZE);
  const receiveKey = newSecret(KEY_SIZE);
  keys.push(sendKey, receiveKey);
  if (!cipher.copyKey(keypair.sendSlot, sendKey) || !cipher.copyKey(keypair.receiveSlot, receiveKey))
    throw new Error('the cipher does not have the keys of a session');
  const { localIndex, remoteIndex, initiator, born, counterLow, counterHigh, maySend } = keypair;
  return {
    sendKey,
    receiveKey,
    localIndex,
    remoteIndex,
    initiator,
    born,
    counterLow,
    counterHigh,
    maySend,
    replay: keypair.replay.save(),
  };
}

function pendingState({ pending }: Peer): PendingState | undefined {
  return (
    pending && {
      localIndex: pending.localIndex,
      ephemeralPrivate: copySecret(pending.ephemeralPrivate),
      chainingKey: copySecret(pending.state.chainingKey),
      hash: copySecret(pending.state.hash),
    }
  );
}

function prefixRecords({ allowedIps }: Device, peer: Peer): Uint8Array {
  const prefixes = allowedIps.entries(peer.id);
  const records = new Uint8Array(prefixes.length * PREFIX_RECORD_SIZE);
  for (const [i, { address, length }] of prefixes.entries()) {
    const at = i * PREFIX_RECORD_SIZE;
    records[at] = address.length === 4 ? 4 : 6;
    records[at + 1] = length;
    records.set(address, at + 2);
  }
  return records;
}

/** Leaves out entries that another one of the same peer has superseded. */
function deadlinesState(device: Device, peers: readonly Peer[]): DeadlinesState {
  const places = new Map(peers.map((peer, i) => [peer, i]));
  const live: { at: number; place: number }[] = [];
  for (const { at, item: peer } of device.deadlines.entries()) {
    const place = places.get(peer);
    if (place === undefined || at !== peer.scheduledAt) continue;
    live.push({ at, place });
    places.delete(peer);
  }
  return { at: Float64Array.from(live, ({ at }) => at), peers: Uint32Array.from(live, ({ place }) => place) };
}
