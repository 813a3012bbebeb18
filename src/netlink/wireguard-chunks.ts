/**
 * Splits a DeviceConfig into WG_CMD_SET_DEVICE messages of limited size. The first holds the
 * device's settings; the peers follow in order, and a long list of allowed IPs continues in the
 * next message. One-time operations (emptying the list of peers, or a peer's list) appear only
 * once.
 */
import type { AllowedIpConfig, DeviceConfig, PeerConfig } from '../config/model.ts';
import type { AttributeWriter } from './attributes.ts';
import { AF_INET, AF_INET6 } from './family.ts';
import { genericWriter } from './genetlink.ts';
import {
  ALLOWED_IP,
  ALLOWED_IP_FLAG,
  DEVICE,
  DEVICE_FLAG,
  encodeSocketAddress,
  PEER,
  PEER_FLAG,
  WIREGUARD,
} from './wireguard-layout.ts';

/**
 * An attribute, and therefore the list of peers, holds at most 64 KiB. The kernel also refuses
 * messages larger than the send buffer, 208 KiB.
 */
const LARGEST_MESSAGE = 32 * 1024;
/** Upper bounds of the size of a peer without its allowed IPs, and of one allowed IP. */
const PEER_ROOM = 256;
const ALLOWED_IP_ROOM = 48;

/** @param limit the most bytes in a message; at least 512 */
export function encodeDevice(name: string, config: DeviceConfig, limit = LARGEST_MESSAGE): Uint8Array[] {
  const chunks: Uint8Array[] = [];
  const waiting = (config.peers ?? []).map(peer => ({ peer, from: 0 }));
  let at = 0;
  do {
    const writer = genericWriter(WIREGUARD.set, WIREGUARD.version).string(DEVICE.name, name);
    if (chunks.length === 0) writeDeviceSettings(writer, config);
    if (at < waiting.length)
      writer.nest(DEVICE.peers, peers => {
        while (at < waiting.length && peers.length + PEER_ROOM <= limit) {
          const next = waiting[at]!;
          next.from = writePeer(peers, next.peer, next.from, limit);
          if (next.from < listOf(next.peer).length) break;
          at++;
        }
      });
    chunks.push(writer.finish());
  } while (at < waiting.length);
  return chunks;
}

function writeDeviceSettings(
  writer: AttributeWriter,
  { privateKey, listenPort, fwmark, replacePeers }: DeviceConfig,
): void {
  if (privateKey) writer.bytes(DEVICE.privateKey, privateKey);
  if (listenPort !== undefined) writer.u16(DEVICE.listenPort, listenPort);
  if (fwmark !== undefined) writer.u32(DEVICE.fwmark, fwmark);
  if (replacePeers) writer.u32(DEVICE.flags, DEVICE_FLAG.replacePeers);
}

/**
 * Writes a peer and its allowed IPs from index `from` on, up to the limit. @returns the index of
 * the next allowed IP to write
 */
function writePeer(writer: AttributeWriter, peer: PeerConfig, from: number, limit: number): number {
  const allowedIps = listOf(peer);
  let to = from;
  writer.nest(0, inside => {
    inside.bytes(PEER.publicKey, peer.publicKey);
    // a continued peer exists by now, unless it was updateOnly and absent
    const flags = from === 0 ? flagsOf(peer) : PEER_FLAG.updateOnly;
    if (flags !== 0) inside.u32(PEER.flags, flags);
    if (from === 0 && !peer.remove) writeSettings(inside, peer);
    if (allowedIps.length === 0) return;
    inside.nest(PEER.allowedIps, list => {
      while (to < allowedIps.length && list.length + ALLOWED_IP_ROOM <= limit) writeAllowedIp(list, allowedIps[to++]!);
    });
  });
  return to;
}

function listOf({ remove, allowedIps }: PeerConfig): readonly AllowedIpConfig[] {
  return remove ? [] : (allowedIps ?? []);
}

function flagsOf({ remove, replaceAllowedIps, updateOnly }: PeerConfig): number {
  return (
    (remove ? PEER_FLAG.remove : 0) |
    (replaceAllowedIps ? PEER_FLAG.replaceAllowedIps : 0) |
    (updateOnly ? PEER_FLAG.updateOnly : 0)
  );
}

function writeSettings(writer: AttributeWriter, { presharedKey, endpoint, persistentKeepalive }: PeerConfig): void {
  if (presharedKey) writer.bytes(PEER.presharedKey, presharedKey);
  if (endpoint) writer.bytes(PEER.endpoint, encodeSocketAddress(endpoint));
  if (persistentKeepalive !== undefined) writer.u16(PEER.keepalive, persistentKeepalive);
}

function writeAllowedIp(writer: AttributeWriter, { prefix, remove }: AllowedIpConfig): void {
  writer.nest(0, inside => {
    inside
      .u16(ALLOWED_IP.family, prefix.address.length === 4 ? AF_INET : AF_INET6)
      .bytes(ALLOWED_IP.address, prefix.address)
      .u8(ALLOWED_IP.length, prefix.length);
    if (remove) inside.u32(ALLOWED_IP.flags, ALLOWED_IP_FLAG.remove);
  });
}
