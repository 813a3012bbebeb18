/** Writes the state of a device (engine-state.ts). The device stays as it is. */
import { copySecret, newSecret } from '../base/bytes.ts';
import { KEY_SIZE } from '../base/key.ts';
import type { Device } from './device.ts';
import {
  type DeadlinesState,
  ENGINE_STATE_VERSION,
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

/** Returns copies of everything that a device and its flows remember. */
export function freezeDevice(device: Device, handshakes: HandshakeQueue, outbound: Outbound): FullEngineState {
  const { identity } = device;
  const peers = [...device.eachPeer()];
  return {
    version: ENGINE_STATE_VERSION,
    running: device.running,
    mtu: device.mtu,
    identity: identity && { privateKey: copySecret(identity.privateKey), ...identity.cookies.save() },
    lastTimestamp: device.lastTimestamp,
    dice: device.dice.save(),
    nonces: device.nonces.save(),
    peers: peers.map(peer => peerState(device, peer)),
    deadlines: deadlinesState(device, peers),
    queue: handshakes.save(),
    limiter: device.limiter.save(),
    outbound: outbound.save(),
    counters: { ...device.counters },
  };
}

function peerState(device: Device, peer: Peer): PeerState {
  const { previous, current, next } = peer.keypairs;
  return {
    publicKey: Uint8Array.from(peer.publicKey),
    presharedKey: copySecret(peer.presharedKey),
    staticShared: peer.staticShared && copySecret(peer.staticShared),
    endpoint: peer.endpoint.slice(),
    allowedIps: prefixRecords(device, peer),
    ...peer.timers.save(),
    previous: previous && keypairState(device, previous),
    current: current && keypairState(device, current),
    next: next && keypairState(device, next),
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

function keypairState({ cipher }: Device, keypair: Keypair): KeypairState {
  const sendKey = newSecret(KEY_SIZE);
  const receiveKey = newSecret(KEY_SIZE);
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
