/**
 * Applies a DeviceConfig to a device (kernel netlink.c, wg_set_device and set_peer). Sessions
 * survive, unless the private key changes or the peer is removed. The caller applies port and mark,
 * which belong to the sockets. Messages that result are scheduled by timers, so that a
 * configuration of any size needs no output room.
 */

import { copySecret } from '../base/bytes.ts';
import { ENDPOINT_SIZE } from '../base/endpoint.ts';
import { clampPrivateKey, isZeroKey } from '../base/key.ts';
import type { Mutable } from '../base/mutable.ts';
import type { DeviceConfig, DeviceStatus, PeerConfig, PeerStatus } from '../config/model.ts';
import type { Device } from './device.ts';
import type { Peer } from './peer.ts';
import { TIMER_FLUSH_STAGED, TIMER_PERSISTENT_KEEPALIVE, TIMER_RETRANSMIT_HANDSHAKE } from './peer-timers.ts';

export function configure(device: Device, config: DeviceConfig, now: number): void {
  if (config.replacePeers) for (const peer of [...device.eachPeer()]) device.removePeer(peer);
  if (config.privateKey) setPrivateKey(device, config.privateKey, now);
  for (const peer of config.peers ?? []) configurePeer(device, peer, now);
}

/**
 * Returns everything except port and mark. The secrets are copies that the caller overwrites
 * (eraseStatus).
 */
export function status(device: Device): Omit<DeviceStatus, 'listenPort' | 'fwmark'> {
  const { identity } = device;
  return {
    ...(identity && {
      privateKey: copySecret(identity.privateKey),
      publicKey: Uint8Array.from(identity.publicKey),
    }),
    peers: [...device.eachPeer()].map(peer => peerStatus(device, peer)),
  };
}

function setPrivateKey(device: Device, key: Uint8Array, now: number): void {
  const { identity } = device;
  if (isZeroKey(key)) {
    device.setIdentity(undefined);
  } else {
    const privateKey = clampPrivateKey(copySecret(key));
    const isNew = !identity || !device.crypto.equal(identity.privateKey, privateKey);
    if (isNew) device.setIdentity(privateKey);
    privateKey.fill(0);
    if (!isNew) return;
    // a peer with our own key would be this device itself
    const own = device.peer(device.identity!.publicKey);
    if (own) device.removePeer(own);
  }
  for (const peer of device.eachPeer()) {
    device.forgetPending(peer);
    peer.keypairs.expire();
    // the new identity need not wait for REKEY_TIMEOUT of the old one
    peer.lastSentHandshake = Number.NEGATIVE_INFINITY;
    // packets were staged before the first identity: their handshake failed and set no retry timer
    if (!identity && device.running && !peer.staged.empty) peer.timers.set(TIMER_FLUSH_STAGED, now);
  }
}

function configurePeer(device: Device, config: PeerConfig, now: number): void {
  const { identity } = device;
  if (identity && device.crypto.equal(identity.publicKey, config.publicKey)) return;
  let peer = device.peer(config.publicKey);
  if (config.remove) {
    if (peer) device.removePeer(peer);
    return;
  }
  if (!peer) {
    if (config.updateOnly) return;
    peer = device.addPeer(config.publicKey);
  }
  if (config.presharedKey) peer.presharedKey.set(config.presharedKey);
  if (config.endpoint) peer.endpoint.set(config.endpoint.subarray(0, ENDPOINT_SIZE));
  if (config.replaceAllowedIps) device.allowedIps.removePeer(peer.id);
  for (const { prefix, remove } of config.allowedIps ?? [])
    if (remove) device.allowedIps.remove(prefix, peer.id);
    else device.allowedIps.insert(prefix, peer.id);
  if (config.persistentKeepalive !== undefined) {
    const begins = peer.timers.persistentKeepalive === 0 && config.persistentKeepalive > 0;
    peer.timers.persistentKeepalive = config.persistentKeepalive;
    if (begins && device.running) peer.timers.set(TIMER_PERSISTENT_KEEPALIVE, now);
  }
  if (config.initiate && device.running) {
    peer.lastSentHandshake = Number.NEGATIVE_INFINITY;
    peer.handshakeAttempts = 0;
    // a packet that arrives before this timer fires cancels TIMER_NEW_HANDSHAKE, but not this one
    peer.timers.set(TIMER_RETRANSMIT_HANDSHAKE, now);
  }
  if (device.running && !peer.staged.empty) peer.timers.set(TIMER_FLUSH_STAGED, now);
}

function peerStatus(device: Device, peer: Peer): PeerStatus {
  const wall = peer.lastHandshakeWall;
  const known: Mutable<PeerStatus> = {
    publicKey: peer.publicKey,
    lastHandshakeSeconds: wall === 0n ? 0 : Number(wall / 1_000_000_000n),
    lastHandshakeNanoseconds: wall === 0n ? 0 : Number(wall % 1_000_000_000n),
    rxBytes: peer.rxBytes,
    txBytes: peer.txBytes,
    persistentKeepalive: peer.timers.persistentKeepalive,
    allowedIps: device.allowedIps.entries(peer.id),
  };
  if (!isZeroKey(peer.presharedKey)) known.presharedKey = copySecret(peer.presharedKey);
  if (peer.hasEndpoint) known.endpoint = peer.endpoint.slice();
  return known;
}
