/**
 * The fake kernel's addresses, and the routes that come and go with them: a route to the address
 * itself in the local table, and one to its prefix in the main table while the link is up. Not
 * simulated: broadcast, multicast and link-local routes, and the promotion of secondary addresses.
 */
import { sameBytes } from '../../../src/base/bytes.ts';
import { familyOfAddress } from '../../../src/base/family.ts';
import { makePrefix } from '../../../src/base/prefix.ts';
import {
  ADDRESS,
  ADDRESS_FLAG,
  ADDRESS_MESSAGE,
  decodeAddress,
  type InterfaceAddress,
  SCOPE,
} from '../../../src/netlink/addresses.ts';
import { AttributeWriter } from '../../../src/netlink/attributes.ts';
import { GROUPS } from '../../../src/netlink/events.ts';
import { familyNumber, familyOf } from '../../../src/netlink/family.ts';
import { FLAG, type NetlinkMessage } from '../../../src/netlink/message.ts';
import { getU32, setU32 } from '../../../src/netlink/native-order.ts';
import { PROTOCOL, ROUTE_TYPE, type Route, TABLE } from '../../../src/netlink/route.ts';
import { announceRoute } from './routes.ts';
import { type Answer, type FakeLink, linkOf, Refusal, takeOut, type World } from './world.ts';

const CONNECTED_METRIC = 256;

export function getAddresses(world: World, { body }: NetlinkMessage): Answer[] {
  const family = familyOf(body[0]);
  const index = getU32(body, 4);
  if (index !== 0) linkOf(world, index);
  return world.addresses
    .filter(address => family === undefined || familyOfAddress(address.address) === family)
    .filter(address => index === 0 || address.index === index)
    .map(address => ({ type: ADDRESS_MESSAGE.new, body: encode(address) }));
}

export function newAddress(world: World, message: NetlinkMessage): Answer[] {
  const wanted = decode(message);
  const link = linkOf(world, wanted.index);
  if (wanted.prefixLength > wanted.address.length * 8) throw new Refusal('EINVAL', 'ipv4: Invalid prefix length');
  const v6 = wanted.address.length === 16;
  const at = world.addresses.findIndex(there => sameAddress(there, wanted, v6));
  if (at >= 0 && (message.flags & FLAG.exclusive || !(message.flags & FLAG.replace)))
    throw new Refusal('EEXIST', `${v6 ? 'ipv6: address' : 'ipv4: Address'} already assigned`);
  const address = { ...wanted, flags: wanted.flags | ADDRESS_FLAG.permanent };
  if (at >= 0) world.addresses[at] = address;
  else {
    world.addresses.push(address);
    addRoutes(world, link, address);
  }
  announce(world, ADDRESS_MESSAGE.new, address);
  return [];
}

export function removeAddress(world: World, message: NetlinkMessage): Answer[] {
  const wanted = decode(message);
  const link = linkOf(world, wanted.index);
  const found = world.addresses.find(there => sameAddress(there, wanted, false));
  const name = wanted.address.length === 16 ? 'ipv6: address' : 'ipv4: Address';
  if (!found) throw new Refusal('EADDRNOTAVAIL', `${name} not found`);
  takeOut(world.addresses, address => address === found);
  removeRoutes(world, route => isOf(route, link, found));
  // A link without IPv4 addresses loses its IPv4 routes, in all tables.
  const isV4 = ({ index, address }: InterfaceAddress): boolean => index === link.index && address.length === 4;
  if (isV4(found) && !world.addresses.some(isV4))
    removeRoutes(world, ({ link: by, family }) => by === link.index && family === 4);
  announce(world, ADDRESS_MESSAGE.remove, found);
  return [];
}

/** The link goes up: adds the routes of its addresses. */
export function connect(world: World, link: FakeLink): void {
  for (const address of world.addresses) if (address.index === link.index) addRoutes(world, link, address);
}

/** The link goes down or away: removes its routes and its IPv6 addresses. */
export function disconnect(world: World, link: FakeLink): void {
  removeRoutes(world, route => route.link === link.index && (route.table !== TABLE.local || route.family === 6));
  const gone = takeOut(world.addresses, ({ index, address }) => index === link.index && address.length === 16);
  for (const address of gone) announce(world, ADDRESS_MESSAGE.remove, address);
}

export function forgetAddresses(world: World, link: FakeLink): void {
  for (const address of takeOut(world.addresses, ({ index }) => index === link.index))
    announce(world, ADDRESS_MESSAGE.remove, address);
  removeRoutes(world, route => route.link === link.index);
}

function addRoutes(world: World, link: FakeLink, address: InterfaceAddress): void {
  const family = familyOfAddress(address.address);
  const { prefixLength, flags } = address;
  const bits = address.address.length * 8;
  const common = { family, protocol: PROTOCOL.kernel, link: link.index, flags: 0 };
  const v4 = family === 4 && { preferredSource: address.address };
  const wanted: Route[] = [
    {
      ...common,
      ...v4,
      destination: makePrefix(address.address, bits),
      table: TABLE.local,
      type: ROUTE_TYPE.local,
      scope: family === 4 ? SCOPE.host : SCOPE.universe,
      ...(family === 6 && { metric: 0 }),
    },
  ];
  const hasPrefixRoute = link.up && !(flags & ADDRESS_FLAG.noPrefixRoute) && !(family === 4 && prefixLength === bits);
  if (hasPrefixRoute)
    wanted.push({
      ...common,
      ...v4,
      destination: makePrefix(address.address, prefixLength),
      table: TABLE.main,
      type: ROUTE_TYPE.unicast,
      scope: family === 4 ? SCOPE.link : SCOPE.universe,
      ...(family === 6 && { metric: CONNECTED_METRIC }),
    });
  for (const route of wanted) {
    const same = (other: Route) =>
      other.table === route.table &&
      other.link === route.link &&
      other.destination.length === route.destination.length &&
      sameBytes(other.destination.address, route.destination.address);
    if (world.routes.some(same)) continue;
    world.routes.push(route);
    announceRoute(world, route, false);
  }
}

function isOf(route: Route, link: FakeLink, { address, prefixLength }: InterfaceAddress): boolean {
  if (route.link !== link.index || route.protocol !== PROTOCOL.kernel) return false;
  const { address: to, length } = route.destination;
  if (route.table === TABLE.local) return sameBytes(to, address);
  return length === prefixLength && sameBytes(to, makePrefix(address, prefixLength).address);
}

function removeRoutes(world: World, which: (route: Route) => boolean): void {
  for (const route of takeOut(world.routes, which)) announceRoute(world, route, true);
}

function sameAddress(a: InterfaceAddress, b: InterfaceAddress, whateverLength: boolean): boolean {
  return (
    a.index === b.index && sameBytes(a.address, b.address) && (whateverLength || a.prefixLength === b.prefixLength)
  );
}

function decode(message: NetlinkMessage): InterfaceAddress {
  const address = decodeAddress(message);
  if (!address) throw new Refusal('EAFNOSUPPORT');
  return address;
}

function announce(world: World, type: number, address: InterfaceAddress): void {
  world.announce(GROUPS.address[address.address.length === 4 ? 0 : 1], type, encode(address));
}

function encode({ address, prefixLength, flags, scope, index }: InterfaceAddress): Uint8Array {
  const header = Uint8Array.of(familyNumber(familyOfAddress(address)), prefixLength, flags, scope, 0, 0, 0, 0);
  setU32(header, 4, index);
  const writer = new AttributeWriter(header).bytes(ADDRESS.address, address);
  if (address.length === 4) writer.bytes(ADDRESS.local, address);
  return writer.u32(ADDRESS.flags, flags).finish();
}
