/**
 * The fake kernel's WireGuard: devices as configured (they carry no packets), and the family's two
 * commands.
 */
import { ENDPOINT_SIZE } from '../../../src/base/endpoint.ts';
import { addressSize } from '../../../src/base/family.ts';
import { clampPrivateKey, formatKeyHex, isZeroKey, KEY_SIZE } from '../../../src/base/key.ts';
import { formatPrefix, makePrefix, type Prefix } from '../../../src/base/prefix.ts';
import { opensslCrypto } from '../../../src/crypto/node/openssl.ts';
import { Attributes, type AttributeWriter } from '../../../src/netlink/attributes.ts';
import { AF_INET, AF_INET6, familyOf } from '../../../src/netlink/family.ts';
import { GENERIC_HEADER_SIZE, genericWriter } from '../../../src/netlink/genetlink.ts';
import type { NetlinkMessage } from '../../../src/netlink/message.ts';
import {
  ALLOWED_IP,
  ALLOWED_IP_FLAG,
  DEVICE,
  DEVICE_FLAG,
  decodeSocketAddress,
  encodeSocketAddress,
  PEER,
  PEER_FLAG,
  WIREGUARD,
} from '../../../src/netlink/wireguard-layout.ts';
import {
  type Answer,
  type FakeDevice,
  type FakeLink,
  type FakePeer,
  linkNamed,
  linkOf,
  Refusal,
  type World,
} from './world.ts';

export const WIREGUARD_FAMILY = 29;
const ALL_PEER_FLAGS = PEER_FLAG.remove | PEER_FLAG.replaceAllowedIps | PEER_FLAG.updateOnly;
/** First port that the fake system assigns. */
const FIRST_PORT = 40_000;
const PEER_ROOM = 200;
const ALLOWED_IP_ROOM = 48;

export function newDevice(): FakeDevice {
  return { privateKey: new Uint8Array(KEY_SIZE), listenPort: 0, fwmark: 0, peers: new Map() };
}

/** Assigns a port, as the kernel does for a device that is up. */
export function bindPort(device: FakeDevice | undefined, index: number): void {
  if (device && device.listenPort === 0) device.listenPort = FIRST_PORT + index;
}

export function getDevice(world: World, message: NetlinkMessage): Answer[] {
  const { link, device } = find(world, parse(message));
  const peers = [...device.peers.values()].map(peer => ({ peer, list: [...peer.allowedIps.values()], from: 0 }));
  const answers: Answer[] = [];
  let at = 0;
  do {
    const writer = genericWriter(WIREGUARD.get, WIREGUARD.version).string(DEVICE.name, link.name);
    if (answers.length === 0) writeOwn(writer, link, device);
    writer.nest(DEVICE.peers, all => {
      while (at < peers.length && all.length + PEER_ROOM <= world.messageSize) {
        const next = peers[at]!;
        next.from = writePeer(all, next.peer, next.list, next.from, world.messageSize);
        if (next.from < next.list.length) break;
        at++;
      }
    });
    answers.push({ type: WIREGUARD_FAMILY, body: writer.finish() });
  } while (at < peers.length);
  return answers;
}

export function setDevice(world: World, message: NetlinkMessage): Answer[] {
  const attributes = parse(message);
  const { link, device } = find(world, attributes);
  const flags = attributes.u32(DEVICE.flags) ?? 0;
  if (flags & ~DEVICE_FLAG.replacePeers) throw new Refusal('EOPNOTSUPP');
  device.fwmark = attributes.u32(DEVICE.fwmark) ?? device.fwmark;
  device.listenPort = attributes.u16(DEVICE.listenPort) ?? device.listenPort;
  if (link.up) bindPort(device, link.index);
  if (flags & DEVICE_FLAG.replacePeers) device.peers.clear();
  const privateKey = attributes.bytes(DEVICE.privateKey, KEY_SIZE)?.slice();
  if (privateKey) {
    device.privateKey = isZeroKey(privateKey) ? privateKey : clampPrivateKey(privateKey);
    device.peers.delete(ownKey(device) ?? '');
  }
  for (const peer of attributes.list(DEVICE.peers, 'a peer')) setPeer(world, device, peer);
  return [];
}

function setPeer(world: World, device: FakeDevice, attributes: Attributes): void {
  const publicKey = attributes.bytes(PEER.publicKey, KEY_SIZE)?.slice();
  if (!publicKey) throw new Refusal('EINVAL');
  const flags = attributes.u32(PEER.flags) ?? 0;
  if (flags & ~ALL_PEER_FLAGS) throw new Refusal('EOPNOTSUPP');
  const key = formatKeyHex(publicKey);
  if (!device.peers.has(key)) {
    if (flags & (PEER_FLAG.remove | PEER_FLAG.updateOnly) || key === ownKey(device)) return;
    const nothing = { presharedKey: new Uint8Array(KEY_SIZE), endpoint: new Uint8Array(ENDPOINT_SIZE) };
    device.peers.set(key, { publicKey, ...nothing, persistentKeepalive: 0, allowedIps: new Map() });
  }
  const peer = device.peers.get(key)!;
  if (flags & PEER_FLAG.remove) {
    device.peers.delete(key);
    return;
  }
  peer.presharedKey = attributes.bytes(PEER.presharedKey, KEY_SIZE)?.slice() ?? peer.presharedKey;
  peer.endpoint = decodeSocketAddress(attributes.bytes(PEER.endpoint)) ?? peer.endpoint;
  if (flags & PEER_FLAG.replaceAllowedIps) peer.allowedIps.clear();
  for (const each of attributes.list(PEER.allowedIps, 'an allowed IP')) setAllowedIp(world, device, peer, each);
  peer.persistentKeepalive = attributes.u16(PEER.keepalive) ?? peer.persistentKeepalive;
}

function setAllowedIp(world: World, device: FakeDevice, peer: FakePeer, attributes: Attributes): void {
  if (attributes.has(ALLOWED_IP.flags) && !world.removesAllowedIps) throw new Refusal('EINVAL');
  const family = familyOf(attributes.u16(ALLOWED_IP.family));
  const address = attributes.bytes(ALLOWED_IP.address);
  const length = attributes.u8(ALLOWED_IP.length) ?? 255;
  if (!family || address?.length !== addressSize(family) || length > address.length * 8) throw new Refusal('EINVAL');
  const prefix = makePrefix(address, length);
  const text = formatPrefix(prefix);
  if ((attributes.u32(ALLOWED_IP.flags) ?? 0) & ALLOWED_IP_FLAG.remove) {
    peer.allowedIps.delete(text);
    return;
  }
  for (const other of device.peers.values()) other.allowedIps.delete(text);
  peer.allowedIps.set(text, prefix);
}

/** Returns the link that the message names or numbers. @throws Refusal */
function find(world: World, attributes: Attributes): { link: FakeLink; device: FakeDevice } {
  const [index, name] = [attributes.u32(DEVICE.index), attributes.string(DEVICE.name)];
  if ((index === undefined) === (name === undefined)) throw new Refusal('EBADR');
  const link = index === undefined ? linkNamed(world, name!) : linkOf(world, index);
  if (!link) throw new Refusal('ENODEV');
  const device = world.devices.get(link.index);
  if (!device) throw new Refusal('EOPNOTSUPP');
  return { link, device };
}

function parse({ body }: NetlinkMessage): Attributes {
  return Attributes.parse(body.subarray(GENERIC_HEADER_SIZE), 'a device');
}

function ownKey(device: FakeDevice): string | undefined {
  return isZeroKey(device.privateKey) ? undefined : formatKeyHex(opensslCrypto.publicKey(device.privateKey));
}

function writeOwn(writer: AttributeWriter, link: FakeLink, device: FakeDevice): void {
  writer.u16(DEVICE.listenPort, device.listenPort).u32(DEVICE.fwmark, device.fwmark).u32(DEVICE.index, link.index);
  if (isZeroKey(device.privateKey)) return;
  writer.bytes(DEVICE.privateKey, device.privateKey);
  writer.bytes(DEVICE.publicKey, opensslCrypto.publicKey(device.privateKey));
}

/** @returns the number of allowed IPs written so far */
function writePeer(writer: AttributeWriter, peer: FakePeer, list: Prefix[], from: number, size: number): number {
  let to = from;
  writer.nest(0, inside => {
    inside.bytes(PEER.publicKey, peer.publicKey);
    if (from === 0) {
      inside
        .bytes(PEER.presharedKey, peer.presharedKey)
        .bytes(PEER.lastHandshake, new Uint8Array(16))
        .u16(PEER.keepalive, peer.persistentKeepalive)
        .u64(PEER.txBytes, 0)
        .u64(PEER.rxBytes, 0);
      if (peer.endpoint[0] !== 0) inside.bytes(PEER.endpoint, encodeSocketAddress(peer.endpoint));
    }
    inside.nest(PEER.allowedIps, all => {
      for (; to < list.length && all.length + ALLOWED_IP_ROOM <= size; to++) {
        const { address, length } = list[to]!;
        all.nest(0, one => {
          one.u8(ALLOWED_IP.length, length).u16(ALLOWED_IP.family, address.length === 4 ? AF_INET : AF_INET6);
          one.bytes(ALLOWED_IP.address, address);
        });
      }
    });
  });
  return to;
}
