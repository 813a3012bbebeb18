/** Reads a state that was checked (engine-state-check.ts) into a new device. */
import { copySecret } from '../base/bytes.ts';
import type { CounterName } from './counters.ts';
import type { Device } from './device.ts';
import { type FullEngineState, type KeypairState, type PeerState, readPrefixRecords } from './engine-state.ts';
import type { HandshakeQueue } from './handshake-queue.ts';
import { Keypair } from './keypair.ts';
import { SymmetricState } from './noise.ts';
import type { Outbound } from './outbound.ts';
import type { Peer } from './peer.ts';

/** Fills an empty device and its flows with copies of a state. @throws Error if memory is short */
export function restoreDevice(
  device: Device,
  handshakes: HandshakeQueue,
  outbound: Outbound,
  state: FullEngineState,
): void {
  for (const name of Object.keys(device.counters) as CounterName[]) device.counters[name] = state.counters[name] ?? 0;
  device.running = state.running;
  device.mtu = state.mtu;
  device.lastTimestamp = state.lastTimestamp;
  device.dice.restore(state.dice);
  device.nonces.restore(state.nonces);
  device.replaceIdentity(state.identity?.privateKey);
  if (state.identity) device.identity!.cookies.restore(state.identity);
  const peers = state.peers.map(peer => restorePeer(device, peer));
  for (const [i, place] of state.deadlines.peers.entries()) device.schedule(peers[place]!, state.deadlines.at[i]!);
  // no timer depends on the deadlines of the state
  for (const peer of peers) device.schedule(peer, peer.timers.earliest);
  handshakes.restore(state.queue);
  device.limiter.restore(state.limiter);
  outbound.restore(state.outbound);
}

function restorePeer(device: Device, state: PeerState): Peer {
  const peer = device.addPeer(state.publicKey, state.staticShared);
  peer.presharedKey.set(state.presharedKey);
  peer.endpoint.set(state.endpoint);
  for (const prefix of readPrefixRecords(state.allowedIps)) device.allowedIps.insert(prefix, peer.id);
  peer.timers.restore(state);
  for (const place of ['previous', 'current', 'next'] as const) {
    const keypair = state[place];
    if (keypair) restoreKeypair(device, peer, place, keypair);
  }
  restorePending(device, peer, state);
  peer.cookies.restore(state.cookies);
  for (const { bytes, segments } of state.staged)
    device.counters.stagedOverflow += peer.staged.push(bytes, 0, bytes.length, segments);
  peer.latestTimestamp.set(state.latestTimestamp);
  peer.lastInitiationConsumed = state.lastInitiationConsumed;
  peer.lastSentHandshake = state.lastSentHandshake;
  peer.handshakeAttempts = state.handshakeAttempts;
  peer.sentLastMinuteHandshake = state.sentLastMinuteHandshake;
  peer.lastHandshakeWall = state.lastHandshakeWall;
  peer.rxBytes = state.rxBytes;
  peer.txBytes = state.txBytes;
  return peer;
}

function restoreKeypair(device: Device, peer: Peer, place: 'previous' | 'current' | 'next', state: KeypairState): void {
  const { localIndex, remoteIndex, initiator, born } = state;
  const sendSlot = device.slots.take();
  const receiveSlot = device.slots.take();
  const keypair = new Keypair({ peer, sendSlot, receiveSlot, localIndex, remoteIndex, initiator, born });
  keypair.counterLow = state.counterLow;
  keypair.counterHigh = state.counterHigh;
  keypair.maySend = state.maySend;
  keypair.replay.restore(state.replay);
  device.indices.replace(localIndex, keypair);
  // the peer has the slots before the cipher has the keys: if memory is short, close() erases both
  peer.keypairs[place] = keypair;
  device.cipher.setKey(sendSlot, state.sendKey);
  device.cipher.setKey(receiveSlot, state.receiveKey);
}

function restorePending(device: Device, peer: Peer, { pending }: PeerState): void {
  if (!pending) return;
  peer.pending = {
    peer,
    state: SymmetricState.resume(device.crypto, pending.chainingKey, pending.hash),
    ephemeralPrivate: copySecret(pending.ephemeralPrivate),
    localIndex: pending.localIndex,
  };
  device.indices.replace(pending.localIndex, peer.pending);
}
