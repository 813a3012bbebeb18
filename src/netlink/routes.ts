/**
 * Routes over rtnetlink: list, add, replace, remove, and the kernel's own answer to "which way would this go". What is left out of a
 * new route is as `ip route` has it.
 */
import { formatAddress } from '../base/address.ts';
import { formatPrefix, type Prefix } from '../base/prefix.ts';
import { SCOPE } from './addresses.ts';
import { isRefusal } from './errors.ts';
import { AF_UNSPEC, type Family, familyNumber, familyOfAddress } from './family.ts';
import { FLAG, type NetlinkMessage } from './message.ts';
import {
  decodeRoute,
  encodeRoute,
  PROTOCOL,
  ROUTE_FLAG,
  ROUTE_MESSAGE,
  ROUTE_TYPE,
  type Route,
  TABLE,
} from './route.ts';
import type { NetlinkSocket } from './socket.ts';

/** What a route is told by; only the destination must be said. */
export type NewRoute = Pick<Route, 'destination'> & Partial<Omit<Route, 'destination' | 'family'>>;

export interface RouteQuestion {
  /** The mark of the packet. */
  readonly mark?: number;
  /** Out by this link alone. */
  readonly link?: number;
  readonly source?: Uint8Array;
}

export interface RouteFilter {
  readonly family?: Family;
  readonly table?: number;
  /** An index. */
  readonly link?: number;
  readonly protocol?: number;
}

export class Routes {
  readonly #socket: NetlinkSocket;

  constructor(socket: NetlinkSocket) {
    this.#socket = socket;
  }

  /** Of all tables, but for what the filter leaves out; without the entries of IPv6's cache. */
  async list(filter: RouteFilter = {}): Promise<Route[]> {
    const { family, table, link, protocol } = filter;
    const attempted = `listing${family ? ` IPv${family}` : ''} routes${table === undefined ? '' : ` of table ${table}`}`;
    const body = encodeRoute(
      { ...(link !== undefined && { link }), table: table ?? 0, protocol: protocol ?? 0, type: 0, scope: 0, flags: 0 },
      family === undefined ? AF_UNSPEC : familyNumber(family),
    );
    const messages = await this.#dump(attempted, body);
    return messages
      .flatMap(message => decodeRoute(message) ?? [])
      .filter(
        route =>
          !(route.flags & ROUTE_FLAG.cached) &&
          (table === undefined || route.table === table) &&
          (link === undefined || route.link === link) &&
          (protocol === undefined || route.protocol === protocol),
      );
  }

  /** @throws NetlinkError: EEXIST if there is one to that destination with that metric in the table */
  async add(route: NewRoute): Promise<void> {
    await this.#new('adding', route, FLAG.create | FLAG.exclusive);
  }

  /** Puts it in the place of the one to that destination with that metric, if there is one. */
  async replace(route: NewRoute): Promise<void> {
    await this.#new('setting', route, FLAG.create | FLAG.replace);
  }

  /** Only what is said must match. @throws NetlinkError: ESRCH if no route does */
  async remove(route: NewRoute): Promise<void> {
    const whole = { table: TABLE.main, protocol: 0, type: 0, scope: SCOPE.nowhere, ...route, flags: wish(route) };
    const body = encodeRoute(whole, familyNumber(familyOfAddress(route.destination.address)));
    await this.#socket.request(`removing route ${describeRoute(route)}`, ROUTE_MESSAGE.remove, 0, body);
  }

  /**
   * The way that a packet to this address would take now, rules and marks considered.
   * @throws NetlinkError: ENETUNREACH, EHOSTUNREACH, EACCES where it has none
   */
  async lookup(address: Uint8Array, { mark, link, source }: RouteQuestion = {}): Promise<Route> {
    const family = familyOfAddress(address);
    const attempted = `finding the route to ${formatAddress(address)}${mark ? ` with mark ${mark}` : ''}`;
    const destination: Prefix = { address, length: address.length * 8 };
    const body = encodeRoute(
      {
        destination,
        ...(mark && { mark }),
        ...(link !== undefined && { link }),
        ...(source && { source: { address: source, length: source.length * 8 } }),
        table: 0,
        protocol: 0,
        type: 0,
        scope: 0,
        flags: family === 4 ? ROUTE_FLAG.lookupTable : 0,
      },
      familyNumber(family),
    );
    const answers = await this.#socket.request(attempted, ROUTE_MESSAGE.get, 0, body);
    const route = answers[0] && decodeRoute(answers[0]);
    if (!route) throw new Error(`${attempted}: the kernel answered with no route`);
    return route;
  }

  /** A table that was never used is none (ENOENT), and a kernel may lack a family: no routes. */
  async #dump(attempted: string, body: Uint8Array): Promise<NetlinkMessage[]> {
    try {
      return await this.#socket.dump(attempted, ROUTE_MESSAGE.get, body);
    } catch (error) {
      if (isRefusal(error, 'ENOENT', 'EAFNOSUPPORT')) return [];
      throw error;
    }
  }

  async #new(verb: string, route: NewRoute, how: number): Promise<void> {
    const { type = ROUTE_TYPE.unicast } = route;
    const family = familyOfAddress(route.destination.address);
    const scope = family === 6 ? SCOPE.universe : defaultScope(type, route);
    const whole = { table: TABLE.main, protocol: PROTOCOL.boot, type, scope, ...route, flags: wish(route) };
    await this.#socket.request(
      `${verb} route ${describeRoute(route)}`,
      ROUTE_MESSAGE.new,
      how,
      encodeRoute(whole, familyNumber(family)),
    );
  }
}

/** Of a route's flags what one may ask for; the others say how it is, and are refused where they are given. */
function wish({ flags = 0 }: NewRoute): number {
  return flags & ROUTE_FLAG.onLink;
}

function defaultScope(type: number, { gateway, hops }: NewRoute): number {
  if (type === ROUTE_TYPE.local) return SCOPE.host;
  if (type === ROUTE_TYPE.broadcast || type === ROUTE_TYPE.multicast || type === ROUTE_TYPE.anycast) return SCOPE.link;
  return type === ROUTE_TYPE.unicast && !gateway && !hops ? SCOPE.link : SCOPE.universe;
}

/** In the words of `ip route`: `throw 10.0.0.0/8 table 51820`. */
export function describeRoute({ destination, type, gateway, link, table, metric }: NewRoute): string {
  const kind = Object.entries(ROUTE_TYPE).find(([, number]) => number === type)?.[0];
  return [
    kind === undefined || kind === 'unicast' ? '' : `${kind} `,
    formatPrefix(destination),
    gateway ? ` via ${formatAddress(gateway)}` : '',
    link === undefined ? '' : ` by link ${link}`,
    table === undefined || table === TABLE.main ? '' : ` table ${table}`,
    metric === undefined ? '' : ` metric ${metric}`,
  ].join('');
}
