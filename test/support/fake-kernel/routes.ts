/**
 * The fake kernel's routes: which ones it refuses, what it fills in, and how it finds the route of
 * a packet.
 */
import { sameBytes } from '../../../src/base/bytes.ts';
import { type Prefix, samePrefix } from '../../../src/base/prefix.ts';
import { SCOPE } from '../../../src/netlink/addresses.ts';
import { Attributes } from '../../../src/netlink/attributes.ts';
import { GROUPS } from '../../../src/netlink/events.ts';
import { familyNumber, familyOf } from '../../../src/netlink/family.ts';
import { FLAG, type NetlinkMessage } from '../../../src/netlink/message.ts';
import {
  decodeRoute,
  encodeRoute,
  ROUTE,
  ROUTE_FLAG,
  ROUTE_HEADER_SIZE,
  ROUTE_MESSAGE,
  ROUTE_TYPE,
  type Route,
  TABLE,
} from '../../../src/netlink/route.ts';
import { RULE_ACTION, type Rule } from '../../../src/netlink/rules.ts';
import { type Answer, linkOf, Refusal, takeOut, type World } from './world.ts';

const DEFAULT_METRIC_V6 = 1024;
const LOOPBACK = 1;
const WITHOUT_LINK: readonly number[] = [
  ROUTE_TYPE.blackhole,
  ROUTE_TYPE.unreachable,
  ROUTE_TYPE.prohibit,
  ROUTE_TYPE.throw,
];

export function getRoutes(world: World, message: NetlinkMessage): Answer[] {
  if (!(message.flags & FLAG.dump)) return [lookUp(world, message)];
  const family = familyOf(message.body[0]);
  const table = Attributes.parse(message.body.subarray(ROUTE_HEADER_SIZE), 'a route').u32(ROUTE.table);
  return world.routes
    .filter(
      route => (family === undefined || route.family === family) && (table === undefined || route.table === table),
    )
    .map(route => ({ type: ROUTE_MESSAGE.new, body: encodeRoute(route, familyNumber(route.family)) }));
}

export function newRoute(world: World, message: NetlinkMessage): Answer[] {
  const route = completed(world, decode(message));
  const at = world.routes.findIndex(other => samePlace(other, route));
  if (at >= 0 && message.flags & FLAG.exclusive) throw new Refusal('EEXIST');
  if (at >= 0 && message.flags & FLAG.replace) world.routes[at] = route;
  else world.routes.push(route);
  announceRoute(world, route, false);
  return [];
}

export function removeRoute(world: World, message: NetlinkMessage): Answer[] {
  const wanted = decode(message);
  const found = world.routes.find(route => answersTo(route, wanted));
  if (!found) throw new Refusal('ESRCH');
  takeOut(world.routes, route => route === found);
  announceRoute(world, found, true);
  return [];
}

export function announceRoute(world: World, route: Route, gone: boolean): void {
  const type = gone ? ROUTE_MESSAGE.remove : ROUTE_MESSAGE.new;
  world.announce(GROUPS.route[route.family === 4 ? 0 : 1], type, encodeRoute(route, familyNumber(route.family)));
}

/** Returns a route as the kernel stores it. @throws Refusal */
function completed(world: World, route: Route): Route {
  if (route.flags & (ROUTE_FLAG.dead | ROUTE_FLAG.linkDown)) throw new Refusal('EINVAL');
  const metric = route.family === 6 && !route.metric ? { metric: DEFAULT_METRIC_V6 } : {};
  const table = route.table === 0 ? TABLE.main : route.table;
  if (WITHOUT_LINK.includes(route.type))
    return { ...route, ...metric, table, ...(route.family === 6 && { link: LOOPBACK }) };
  const link = route.link ?? (route.gateway && linkTo(world, route.gateway));
  if (link === undefined && route.gateway) throw unreachable(route);
  if (link === undefined) throw new Refusal('ENODEV');
  if (!linkOf(world, link).up) throw new Refusal('ENETDOWN', 'Nexthop device is not up');
  if (route.gateway && !(route.flags & ROUTE_FLAG.onLink) && linkTo(world, route.gateway) !== link)
    throw unreachable(route);
  const { preferredSource } = route;
  if (preferredSource && !world.addresses.some(({ address }) => sameBytes(address, preferredSource)))
    throw new Refusal('EINVAL');
  return { ...route, ...metric, table, link };
}

function unreachable({ family }: Route): Refusal {
  return family === 4 ? new Refusal('ENETUNREACH', 'Nexthop has invalid gateway') : new Refusal('EHOSTUNREACH');
}

/** Returns the link on which a gateway is a neighbour. */
function linkTo(world: World, gateway: Uint8Array): number | undefined {
  const best = longest(
    world.routes.filter(({ table, type }) => table === TABLE.main && type === ROUTE_TYPE.unicast),
    gateway,
  );
  return best && !best.gateway ? best.link : undefined;
}

function samePlace(a: Route, b: Route): boolean {
  return a.table === b.table && samePrefix(a.destination, b.destination) && (a.metric ?? 0) === (b.metric ?? 0);
}

/** Returns whether a route has every attribute of the one to remove. */
function answersTo(route: Route, wanted: Route): boolean {
  return (
    route.table === (wanted.table || TABLE.main) &&
    samePrefix(route.destination, wanted.destination) &&
    (wanted.type === 0 || route.type === wanted.type) &&
    (wanted.protocol === 0 || route.protocol === wanted.protocol) &&
    (wanted.family === 6 || wanted.scope === SCOPE.nowhere || route.scope === wanted.scope) &&
    (wanted.metric === undefined || (route.metric ?? 0) === wanted.metric) &&
    (wanted.link === undefined || route.link === wanted.link) &&
    (wanted.gateway === undefined || (route.gateway !== undefined && sameBytes(route.gateway, wanted.gateway)))
  );
}

/** Walks the rules in order and takes each table's longest prefix. */
function lookUp(world: World, message: NetlinkMessage): Answer {
  const { family, destination } = decode(message);
  const attributes = Attributes.parse(message.body.subarray(ROUTE_HEADER_SIZE), 'a route');
  const [mark, link] = [attributes.u32(ROUTE.mark) ?? 0, attributes.u32(ROUTE.link)];
  for (const rule of world.rules) {
    if (rule.family !== family || rule.action !== RULE_ACTION.table || !matches(rule, mark, destination.address))
      continue;
    const candidates = world.routes.filter(
      route =>
        route.table === rule.table && (link === undefined || route.link === link || WITHOUT_LINK.includes(route.type)),
    );
    const route = longest(candidates, destination.address);
    if (!route || route.type === ROUTE_TYPE.throw) continue;
    if (route.destination.length <= (rule.suppressPrefixLength ?? -1)) continue;
    if (route.type === ROUTE_TYPE.unreachable) throw new Refusal(family === 4 ? 'EHOSTUNREACH' : 'ENETUNREACH');
    if (route.type === ROUTE_TYPE.blackhole) throw new Refusal('EINVAL');
    if (route.type === ROUTE_TYPE.prohibit) throw new Refusal('EACCES');
    const source =
      route.preferredSource ??
      world.addresses.find(
        ({ index, address }) => index === route.link && address.length === destination.address.length,
      )?.address;
    const { metric: _, ...rest } = route;
    const found = {
      ...rest,
      destination,
      ...(source && { preferredSource: source }),
      scope: 0,
      flags: ROUTE_FLAG.cached,
    };
    return { type: ROUTE_MESSAGE.new, body: encodeRoute(found, familyNumber(family)) };
  }
  throw new Refusal('ENETUNREACH');
}

function matches({ mark, mask, invert, source, destination }: Rule, packetMark: number, to: Uint8Array): boolean {
  const marked = mark === undefined || ((packetMark ^ mark) & (mask ?? -1)) === 0;
  const fits = marked && !source && (!destination || contains(destination, to));
  return fits !== (invert === true);
}

function longest(routes: readonly Route[], address: Uint8Array): Route | undefined {
  return routes
    .filter(({ destination }) => contains(destination, address))
    .sort((a, b) => b.destination.length - a.destination.length || (a.metric ?? 0) - (b.metric ?? 0))[0];
}

function contains({ address, length }: Prefix, other: Uint8Array): boolean {
  if (address.length !== other.length) return false;
  for (let bit = 0; bit < length; bit++)
    if (((address[bit >> 3]! ^ other[bit >> 3]!) >> (7 - (bit & 7))) & 1) return false;
  return true;
}

/** Decodes a query, which has the format of a route. */
function decode(message: NetlinkMessage): Route {
  const route = decodeRoute({ ...message, type: ROUTE_MESSAGE.new });
  if (!route) throw new Refusal('EAFNOSUPPORT');
  return route;
}
