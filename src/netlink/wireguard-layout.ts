/**
 * The attributes of the kernel's `wireguard` family (Documentation/netlink/specs/wireguard.yaml),
 * and the decoder of its messages. The kernel sends a device in parts. Each part continues the list
 * of peers. A peer whose allowed IPs did not fit into one part continues at the beginning of the
 * next.
 */

import { copySecret } from '../base/bytes.ts';
import { ENDPOINT_ADDRESS, ENDPOINT_FAMILY, ENDPOINT_PORT, ENDPOINT_SCOPE, makeEndpoint } from '../base/endpoint.ts';
import { addressSize } from '../base/family.ts';
import { formatKeyHex, isZeroKey, KEY_SIZE } from '../base/key.ts';
import { makePrefix, type Prefix } from '../base/prefix.ts';
import type { DeviceStatus, PeerStatus } from '../config/model.ts';
import type { Attributes } from './attributes.ts';
import { MalformedNetlink } from './errors.ts';
import { AF_INET, AF_INET6, familyOf } from './family.ts';
import { genericAttributes } from './genetlink.ts';
import type { NetlinkMessage } from './message.ts';
import { getU16, getU32, getU64, setU16, setU32 } from './native-order.ts';

export const WIREGUARD = { name: 'wireguard', version: 1, get: 0, set: 1 } as const;
export const DEVICE = {
  index: 1,
  name: 2,
  privateKey: 3,
  publicKey: 4,
  flags: 5,
  listenPort: 6,
  fwmark: 7,
  peers: 8,
} as const;
export const PEER = {
  publicKey: 1,
  presharedKey: 2,
  flags: 3,
  endpoint: 4,
  keepalive: 5,
  lastHandshake: 6,
  rxBytes: 7,
  txBytes: 8,
  allowedIps: 9,
} as const;
export const ALLOWED_IP = { family: 1, address: 2, length: 3, flags: 4 } as const;
export const DEVICE_FLAG = { replacePeers: 1 } as const;
export const PEER_FLAG = { remove: 1, replaceAllowedIps: 2, updateOnly: 4 } as const;
/** Supported since Linux 6.16. */
export const ALLOWED_IP_FLAG = { remove: 1 } as const;

const SOCKADDR_IN = 16;
const SOCKADDR_IN6 = 28;

/** @throws MalformedNetlink */
export function decodeDevice(messages: readonly NetlinkMessage[]): DeviceStatus {
  const peers: (PeerStatus & { readonly allowedIps: Prefix[] })[] = [];
  let device: Omit<DeviceStatus, 'peers'> = { listenPort: 0, fwmark: 0 };
  messages.forEach((message, part) => {
    const attributes = genericAttributes(message, 'a device');
    if (part === 0) device = decodeDeviceSettings(attributes);
    for (const each of attributes.list(DEVICE.peers, 'a peer')) {
      const publicKey = key(each, PEER.publicKey);
      if (!publicKey) throw new MalformedNetlink('a peer has no public key');
      const allowedIps = each.list(PEER.allowedIps, 'an allowed IP').map(decodeAllowedIp);
      const last = peers.at(-1);
      if (last && formatKeyHex(last.publicKey) === formatKeyHex(publicKey)) last.allowedIps.push(...allowedIps);
      else peers.push({ ...decodePeer(each, publicKey), allowedIps });
    }
  });
  return { ...device, peers };
}

function decodeDeviceSettings(attributes: Attributes): Omit<DeviceStatus, 'peers'> {
  const privateKey = key(attributes, DEVICE.privateKey);
  const publicKey = key(attributes, DEVICE.publicKey);
  const has = privateKey !== undefined && !isZeroKey(privateKey);
  return {
    ...(has && { privateKey }),
    // without a private key the device has no identity, even if the public key attribute is set
    ...(publicKey && !isZeroKey(publicKey) && (has || !privateKey) && { publicKey }),
    listenPort: attributes.u16(DEVICE.listenPort) ?? 0,
    fwmark: attributes.u32(DEVICE.fwmark) ?? 0,
  };
}

function decodePeer(attributes: Attributes, publicKey: Uint8Array): Omit<PeerStatus, 'allowedIps'> {
  const presharedKey = key(attributes, PEER.presharedKey);
  const endpoint = decodeSocketAddress(attributes.bytes(PEER.endpoint));
  const handshake = attributes.bytes(PEER.lastHandshake, 16);
  return {
    publicKey,
    ...(presharedKey && !isZeroKey(presharedKey) && { presharedKey }),
    ...(endpoint && { endpoint }),
    lastHandshakeSeconds: handshake ? getU64(handshake, 0) : 0,
    lastHandshakeNanoseconds: handshake ? getU64(handshake, 8) : 0,
    rxBytes: attributes.u64(PEER.rxBytes) ?? 0,
    txBytes: attributes.u64(PEER.txBytes) ?? 0,
    persistentKeepalive: attributes.u16(PEER.keepalive) ?? 0,
  };
}

function decodeAllowedIp(attributes: Attributes): Prefix {
  const family = familyOf(attributes.u16(ALLOWED_IP.family));
  const address = attributes.bytes(ALLOWED_IP.address);
  const length = attributes.u8(ALLOWED_IP.length);
  if (family === undefined || address?.length !== addressSize(family) || length === undefined)
    throw new MalformedNetlink('an allowed IP is not a prefix of IPv4 or IPv6');
  if (length > address.length * 8)
    throw new MalformedNetlink(`an allowed IP: no IPv${family} prefix has length ${length}`);
  return makePrefix(address, length);
}

/**
 * Copies a key into erasable memory, so that the key does not keep the whole datagram in memory.
 */
function key(attributes: Attributes, type: number): Uint8Array | undefined {
  const value = attributes.bytes(type, KEY_SIZE);
  return value && copySecret(value);
}

/**
 * Converts struct sockaddr_in or sockaddr_in6 to an endpoint record.
 * @returns undefined if the bytes are absent or of another family
 * @throws MalformedNetlink
 */
export function decodeSocketAddress(bytes: Uint8Array | undefined): Uint8Array | undefined {
  if (!bytes || bytes.length < 2) return undefined;
  const family = getU16(bytes, 0);
  if (family !== AF_INET && family !== AF_INET6) return undefined;
  const size = family === AF_INET ? SOCKADDR_IN : SOCKADDR_IN6;
  if (bytes.length < size) throw new MalformedNetlink(`an endpoint has ${size} bytes; ${bytes.length} were received`);
  const port = (bytes[2]! << 8) | bytes[3]!;
  if (family === AF_INET) return makeEndpoint(bytes.subarray(4, 8), port);
  return makeEndpoint(bytes.subarray(8, 24), port, getU32(bytes, 24));
}

/** Encodes the far side of an endpoint record as struct sockaddr_in or sockaddr_in6. */
export function encodeSocketAddress(endpoint: Uint8Array): Uint8Array {
  const v4 = endpoint[ENDPOINT_FAMILY] === 4;
  const bytes = new Uint8Array(v4 ? SOCKADDR_IN : SOCKADDR_IN6);
  setU16(bytes, 0, v4 ? AF_INET : AF_INET6);
  bytes.set(endpoint.subarray(ENDPOINT_PORT, ENDPOINT_PORT + 2), 2);
  if (v4) {
    bytes.set(endpoint.subarray(ENDPOINT_ADDRESS, ENDPOINT_ADDRESS + 4), 4);
    return bytes;
  }
  bytes.set(endpoint.subarray(ENDPOINT_ADDRESS, ENDPOINT_ADDRESS + 16), 8);
  const scope = new DataView(endpoint.buffer, endpoint.byteOffset).getUint32(ENDPOINT_SCOPE, true);
  setU32(bytes, 24, scope);
  return bytes;
}
