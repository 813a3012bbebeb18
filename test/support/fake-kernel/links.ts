/**
 * The fake kernel's links. A link that goes up gains its connected routes; one that goes down loses
 * them and its IPv6 addresses.
 */
import { isInterfaceName } from '../../../src/base/interface-name.ts';
import { Attributes, AttributeWriter } from '../../../src/netlink/attributes.ts';
import { GROUPS } from '../../../src/netlink/events.ts';
import {
  LINK,
  LINK_HEADER_SIZE,
  LINK_INFO,
  LINK_LOOPBACK,
  LINK_MESSAGE,
  LINK_RUNNING,
  LINK_UP,
} from '../../../src/netlink/links.ts';
import { FLAG, type NetlinkMessage } from '../../../src/netlink/message.ts';
import { getI32, getU32, setU16, setU32 } from '../../../src/netlink/native-order.ts';
import { connect, disconnect, forgetAddresses } from './addresses.ts';
import { bindPort, newDevice } from './wireguard.ts';
import { type Answer, type FakeLink, linkNamed, linkOf, Refusal, type World } from './world.ts';

const WITHOUT_LINK_LAYER = 65534;
const LOOPBACK = 772;
const ETHERNET = 1;
const [POINT_TO_POINT_NO_ARP, BROADCAST_NO_ARP] = [0x90, 0x82];

export function getLinks(world: World, message: NetlinkMessage): Answer[] {
  if (message.flags & FLAG.dump)
    return [...world.links.values()].map(link => ({ type: LINK_MESSAGE.new, body: encode(link) }));
  return [{ type: LINK_MESSAGE.new, body: encode(named(world, message)) }];
}

export function newLink(world: World, message: NetlinkMessage): Answer[] {
  const { flags, body } = message;
  const attributes = Attributes.parse(body.subarray(LINK_HEADER_SIZE), 'a link');
  const index = getI32(body, 4);
  const name = attributes.string(LINK.name);
  const there = index > 0 ? world.links.get(index) : linkNamed(world, name ?? '');
  if (there && flags & FLAG.exclusive) throw new Refusal('EEXIST');
  if (!there && (index > 0 || !(flags & FLAG.create))) throw new Refusal('ENODEV');
  const link = there ?? create(world, name, attributes);
  change(world, link, body, attributes);
  announce(world, link);
  return [];
}

export function removeLink(world: World, message: NetlinkMessage): Answer[] {
  const link = named(world, message);
  if (link.kind === undefined) throw new Refusal('EOPNOTSUPP');
  if (link.up) {
    link.up = false;
    announce(world, link);
  }
  disconnect(world, link);
  forgetAddresses(world, link);
  world.devices.delete(link.index);
  world.links.delete(link.index);
  world.announce(GROUPS.link[0], LINK_MESSAGE.remove, encode(link));
  return [];
}

function named(world: World, { body }: NetlinkMessage): FakeLink {
  const name = Attributes.parse(body.subarray(LINK_HEADER_SIZE), 'a link').string(LINK.name);
  const index = getI32(body, 4);
  if (index > 0) return linkOf(world, index);
  const link = linkNamed(world, name ?? '');
  if (!link) throw new Refusal('ENODEV');
  return link;
}

function create(world: World, name: string | undefined, attributes: Attributes): FakeLink {
  const kind = attributes.nested(LINK.info)?.string(LINK_INFO.kind);
  if (kind === undefined || !world.kinds.includes(kind)) throw new Refusal('EOPNOTSUPP', 'Unknown device type');
  if (name === undefined || !isInterfaceName(name)) throw new Refusal('EINVAL');
  const index = world.nextIndex++;
  const wireguard = kind === 'wireguard';
  const link: FakeLink = {
    index,
    name,
    kind,
    mtu: wireguard ? 1420 : 1500,
    up: false,
    alias: '',
    carrier: true,
    hardwareAddress: wireguard ? undefined : Uint8Array.of(2, 0, 0, 0, index >> 8, index),
  };
  if (wireguard) world.devices.set(index, newDevice());
  world.links.set(index, link);
  return link;
}

function change(world: World, link: FakeLink, body: Uint8Array, attributes: Attributes): void {
  const mtu = attributes.u32(LINK.mtu);
  if (mtu !== undefined && link.kind !== 'wireguard' && (mtu < 68 || mtu > 65535))
    throw new Refusal('EINVAL', mtu < 68 ? 'mtu less than device minimum' : 'mtu greater than device maximum');
  const name = attributes.string(LINK.name);
  if (name !== undefined && name !== link.name && linkNamed(world, name)) throw new Refusal('EEXIST');
  if (name !== undefined && !isInterfaceName(name)) throw new Refusal('EINVAL');
  const alias = attributes.string(LINK.alias);
  link.mtu = mtu ?? link.mtu;
  link.name = name ?? link.name;
  link.alias = alias ?? link.alias;
  if (!(getU32(body, 12) & LINK_UP)) return;
  const up = (getU32(body, 8) & LINK_UP) !== 0;
  if (up === link.up) return;
  link.up = up;
  if (up) {
    bindPort(world.devices.get(link.index), link.index);
    connect(world, link);
  } else disconnect(world, link);
}

function announce(world: World, link: FakeLink): void {
  world.announce(GROUPS.link[0], LINK_MESSAGE.new, encode(link));
}

function encode(link: FakeLink): Uint8Array {
  const header = new Uint8Array(LINK_HEADER_SIZE);
  const own = link.kind === undefined ? LINK_LOOPBACK : link.hardwareAddress ? BROADCAST_NO_ARP : POINT_TO_POINT_NO_ARP;
  setU16(header, 2, link.kind === undefined ? LOOPBACK : link.hardwareAddress ? ETHERNET : WITHOUT_LINK_LAYER);
  setU32(header, 4, link.index);
  setU32(header, 8, own | (link.up ? LINK_UP | (link.carrier ? LINK_RUNNING : 0) : 0));
  const writer = new AttributeWriter(header)
    .string(LINK.name, link.name)
    .u32(LINK.mtu, link.mtu)
    .u8(LINK.carrier, link.carrier ? 1 : 0);
  if (link.alias) writer.string(LINK.alias, link.alias);
  if (link.hardwareAddress) writer.bytes(LINK.address, link.hardwareAddress);
  const { kind } = link;
  if (kind !== undefined) writer.nest(LINK.info, info => info.string(LINK_INFO.kind, kind));
  return writer.finish();
}
