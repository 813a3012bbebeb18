/** Encodes and decodes routes of rtnetlink (struct rtmsg and its attributes). */
import type { Family } from '../base/family.ts';
import type { Prefix } from '../base/prefix.ts';
import { Attributes, AttributeWriter, attributesAfter } from './attributes.ts';
import { MalformedNetlink } from './errors.ts';
import { familyNumber, familyOf, prefixOf } from './family.ts';
import type { NetlinkMessage } from './message.ts';
import { getU16, getU32, setU16, setU32 } from './native-order.ts';

export const ROUTE_MESSAGE = { new: 24, remove: 25, get: 26 } as const;
export const ROUTE_HEADER_SIZE = 12;
export const ROUTE = {
  destination: 1,
  source: 2,
  link: 4,
  gateway: 5,
  metric: 6,
  preferredSource: 7,
  metrics: 8,
  multipath: 9,
  table: 15,
  mark: 16,
  via: 18,
} as const;
const ROUTE_METRICS = { mtu: 2 } as const;
export const TABLE = { default: 253, main: 254, local: 255 } as const;
/** Who added a route (RTPROT_*). */
export const PROTOCOL = {
  unspecified: 0,
  redirect: 1,
  kernel: 2,
  boot: 3,
  static: 4,
  advertisement: 9,
  dhcp: 16,
} as const;
export const ROUTE_TYPE = {
  unicast: 1,
  local: 2,
  broadcast: 3,
  anycast: 4,
  multicast: 5,
  blackhole: 6,
  unreachable: 7,
  prohibit: 8,
  throw: 9,
} as const;
/** RTNH_F_* in the low bits, RTM_F_* in the high ones. */
export const ROUTE_FLAG = { dead: 0x1, onLink: 0x4, linkDown: 0x10, cached: 0x200, lookupTable: 0x1000 } as const;
const HOP_HEADER_SIZE = 8;

export interface Route {
  readonly family: Family;
  readonly destination: Prefix;
  /** Restricts the route to packets whose source is within this prefix. */
  readonly source?: Prefix;
  readonly table: number;
  /** One of ROUTE_TYPE. */
  readonly type: number;
  /** One of SCOPE. */
  readonly scope: number;
  /** One of PROTOCOL, or any other program's number. */
  readonly protocol: number;
  readonly metric?: number;
  /** The index of the outgoing link. */
  readonly link?: number;
  /** The gateway. Its family may differ from the destination's (RFC 5549). */
  readonly gateway?: Uint8Array;
  /** The source address for packets of sockets that are not bound to an address. */
  readonly preferredSource?: Uint8Array;
  readonly mtu?: number;
  /** The next hops of a multipath route. These are read but never written. */
  readonly hops?: readonly RouteHop[];
  /** Sum of ROUTE_FLAG. */
  readonly flags: number;
}

interface RouteHop {
  readonly link: number;
  readonly gateway?: Uint8Array;
  readonly weight: number;
  readonly flags: number;
}

type EncodableRoute = Omit<Route, 'family' | 'destination'> & { readonly destination?: Prefix; readonly mark?: number };

/** @param family the kernel's number */
export function encodeRoute(route: EncodableRoute, family: number): Uint8Array {
  const { destination, source, table, type, scope, protocol, metric, link, gateway, preferredSource, mtu } = route;
  const header = new Uint8Array(ROUTE_HEADER_SIZE);
  header.set([
    family,
    destination?.length ?? 0,
    source?.length ?? 0,
    0,
    table < 256 ? table : 0,
    protocol,
    scope,
    type,
  ]);
  setU32(header, 8, route.flags);
  const writer = new AttributeWriter(header);
  if (destination && destination.length > 0) writer.bytes(ROUTE.destination, destination.address);
  if (source && source.length > 0) writer.bytes(ROUTE.source, source.address);
  if (table !== 0) writer.u32(ROUTE.table, table);
  if (metric !== undefined) writer.u32(ROUTE.metric, metric);
  if (link !== undefined) writer.u32(ROUTE.link, link);
  if (gateway && familyNumber(gateway.length === 4 ? 4 : 6) === family) writer.bytes(ROUTE.gateway, gateway);
  else if (gateway) writer.bytes(ROUTE.via, withFamily(gateway));
  if (preferredSource) writer.bytes(ROUTE.preferredSource, preferredSource);
  if (route.mark !== undefined) writer.u32(ROUTE.mark, route.mark);
  if (mtu !== undefined) writer.nest(ROUTE.metrics, metrics => metrics.u32(ROUTE_METRICS.mtu, mtu));
  return writer.finish();
}

/**
 * @returns undefined if the message does not concern an IPv4 or IPv6 route
 * @throws MalformedNetlink
 */
export function decodeRoute({ type, body }: NetlinkMessage): Route | undefined {
  if (type !== ROUTE_MESSAGE.new && type !== ROUTE_MESSAGE.remove) return undefined;
  const attributes = attributesAfter(ROUTE_HEADER_SIZE, body, 'a route');
  const family = familyOf(body[0]);
  if (family === undefined) return undefined;
  const source = body[2]! === 0 ? undefined : prefixOf(attributes.bytes(ROUTE.source), body[2]!, family, 'a route');
  const metric = attributes.u32(ROUTE.metric);
  const link = attributes.u32(ROUTE.link);
  const gateway = attributes.bytes(ROUTE.gateway) ?? attributes.bytes(ROUTE.via)?.subarray(2);
  const preferredSource = attributes.bytes(ROUTE.preferredSource);
  const mtu = attributes.nested(ROUTE.metrics)?.u32(ROUTE_METRICS.mtu);
  const multipath = attributes.bytes(ROUTE.multipath);
  return {
    family,
    destination: prefixOf(attributes.bytes(ROUTE.destination), body[1]!, family, 'a route'),
    ...(source && { source }),
    table: attributes.u32(ROUTE.table) ?? body[4]!,
    protocol: body[5]!,
    scope: body[6]!,
    type: body[7]!,
    ...(metric !== undefined && { metric }),
    ...(link !== undefined && { link }),
    ...(gateway && { gateway }),
    ...(preferredSource && { preferredSource }),
    ...(mtu !== undefined && { mtu }),
    ...(multipath && { hops: decodeHops(multipath) }),
    flags: getU32(body, 8),
  };
}

/** Decodes struct rtnexthop: length, flags, weight minus one, index; then attributes. */
function decodeHops(bytes: Uint8Array): RouteHop[] {
  const hops: RouteHop[] = [];
  for (let at = 0; bytes.length - at >= HOP_HEADER_SIZE; ) {
    const length = getU16(bytes, at);
    if (length < HOP_HEADER_SIZE || length > bytes.length - at)
      throw new MalformedNetlink(`a next hop at byte ${at} claims ${length} bytes; ${bytes.length - at} are left`);
    const attributes = Attributes.parse(bytes.subarray(at + HOP_HEADER_SIZE, at + length), 'a next hop');
    const gateway = attributes.bytes(ROUTE.gateway) ?? attributes.bytes(ROUTE.via)?.subarray(2);
    hops.push({
      flags: bytes[at + 2]!,
      weight: bytes[at + 3]! + 1,
      link: getU32(bytes, at + 4),
      ...(gateway && { gateway }),
    });
    at += (length + 3) & ~3;
  }
  return hops;
}

/** Encodes struct rtvia. */
function withFamily(address: Uint8Array): Uint8Array {
  const bytes = new Uint8Array(2 + address.length);
  setU16(bytes, 0, familyNumber(address.length === 4 ? 4 : 6));
  bytes.set(address, 2);
  return bytes;
}
