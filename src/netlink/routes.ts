/**
 * Routes over rtnetlink: list, add, replace, remove, and the kernel's lookup of the route to an
 * address. Fields missing from a new route get the defaults of `ip route`.
 */
import { formatAddress } from '../base/address.ts';
import { type Family, familyOfAddress } from '../base/family.ts';
import { formatPrefix, type Prefix } from '../base/prefix.ts';
import { SCOPE } from './addresses.ts';
import { isRefusal } from './errors.ts';
import { AF_UNSPEC, familyNumber } from './family.ts';
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

/** A route to add or remove; only the destination is required. */
export type NewRoute = Pick<Route, 'destination'> & Partial<Omit<Route, 'destination' | 'family'>>;

export interface RouteQuestion {
  /** The packet's mark. */
  readonly mark?: number;
  /** The index of the link that the route must use. */
  readonly link?: number;
  readonly source?: Uint8Array;
}

export interface RouteFilter {
  readonly family?: Family;
  readonly table?: number;
  /** The index of the outgoing link. */
  readonly link?: number;
  readonly protocol?: number;
}

export class Routes {
  readonly #socket: NetlinkSocket;

  constructor(socket: NetlinkSocket) {
    this.#socket = socket;
  }

  /** Lists the routes of all tables that match the filter, without cached IPv6 routes. */
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

  /**
   * Adds a route.
   * @throws NetlinkError: EEXIST if the table has a route with that destination and metric
   */
  async add(route: NewRoute): Promise<void> {
    await this.#create('adding', route, FLAG.create | FLAG.exclusive);
  }

  /** Adds a route. An existing route with the same destination and metric is replaced. */
  async replace(route: NewRoute): Promise<void> {
    await this.#create('setting', route, FLAG.create | FLAG.replace);
  }

  /**
   * Removes the first route that matches the given fields.
   * @throws NetlinkError: ESRCH if no route matches
   */
  async remove(route: NewRoute): Promise<void> {
    const whole = {
      table: TABLE.main,
      protocol: 0,
      type: 0,
      scope: SCOPE.nowhere,
      ...route,
      flags: settableFlags(route),
    };
    const body = encodeRoute(whole, familyNumber(familyOfAddress(route.destination.address)));
    await this.#socket.request(`removing route ${describeRoute(route)}`, ROUTE_MESSAGE.remove, 0, body);
  }

  /**
   * Returns the route that a packet to this address would take now, with rules and marks
   * considered.
   * @throws NetlinkError: ENETUNREACH, EHOSTUNREACH or EACCES if there is no route
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

  /**
   * Returns an empty list if the table was never used (ENOENT) or the kernel lacks the family
   * (EAFNOSUPPORT).
   */
  async #dump(attempted: string, body: Uint8Array): Promise<NetlinkMessage[]> {
    try {
      return await this.#socket.dump(attempted, ROUTE_MESSAGE.get, body);
    } catch (error) {
      if (isRefusal(error, 'ENOENT', 'EAFNOSUPPORT')) return [];
      throw error;
    }
  }

  async #create(verb: string, route: NewRoute, flagsOfRequest: number): Promise<void> {
    const { type = ROUTE_TYPE.unicast } = route;
    const family = familyOfAddress(route.destination.address);
    const scope = family === 6 ? SCOPE.universe : defaultScope(type, route);
    const whole = { table: TABLE.main, protocol: PROTOCOL.boot, type, scope, ...route, flags: settableFlags(route) };
    await this.#socket.request(
      `${verb} route ${describeRoute(route)}`,
      ROUTE_MESSAGE.new,
      flagsOfRequest,
      encodeRoute(whole, familyNumber(family)),
    );
  }
}

/**
 * Returns only the flags that a request may set. The other flags report state, and the kernel
 * refuses them in a request.
 */
function settableFlags({ flags = 0 }: NewRoute): number {
  return flags & ROUTE_FLAG.onLink;
}

function defaultScope(type: number, { gateway, hops }: NewRoute): number {
  if (type === ROUTE_TYPE.local) return SCOPE.host;
  if (type === ROUTE_TYPE.broadcast || type === ROUTE_TYPE.multicast || type === ROUTE_TYPE.anycast) return SCOPE.link;
  return type === ROUTE_TYPE.unicast && !gateway && !hops ? SCOPE.link : SCOPE.universe;
}

/** Formats a route much as `ip route` does: `throw 10.0.0.0/8 table 51820`. */
export function describeRoute({ destination, type, gateway, link, table, metric }: NewRoute): string {
  const kind = Object.entries(ROUTE_TYPE).find(([, number]) => number === type)?.[0];
  return [
    kind === undefined || kind === 'unicast' ? '' : `${kind} `,
    formatPrefix(destination),
    gateway ? ` via ${formatAddress(gateway)}` : '',
    link === undefined ? '' : ` dev ifindex ${link}`,
    table === undefined || table === TABLE.main ? '' : ` table ${table}`,
    metric === undefined ? '' : ` metric ${metric}`,
  ].join('');
}
