/**
 * Maintains the routes of the tunnel's table (docs/reference/calico-felix.md#routes). Every route
 * in it is ours. A route whose kind changes is replaced in place, and new routes are added before
 * old ones are removed. A packet therefore always finds its route and never falls through to a
 * wider one.
 */
import type { Family } from '../../../base/family.ts';
import { formatPrefix } from '../../../base/prefix.ts';
import { changedKeys } from '../../../base/versioned-map.ts';
import { isRefusal } from '../../../netlink/errors.ts';
import { ROUTE_TYPE, type Route, TABLE } from '../../../netlink/route.ts';
import { describeRoute, type NewRoute } from '../../../netlink/routes.ts';
import type { DesiredRoute, DesiredTunnel } from '../../model/desired.ts';
import type { ApplyContext } from '../ports.ts';

const TYPE = { tunnel: ROUTE_TYPE.unicast, throw: ROUTE_TYPE.throw, unreachable: ROUTE_TYPE.unreachable } as const;
/** The metric that the kernel assigns to a route without one. */
const DEFAULT_METRIC = { 4: 0, 6: 1024 } as const;
/** Metric of fallback routes, which apply once the preferred route to the destination is gone. */
const FALLBACK_METRIC = 0xffffffff;
const CONCURRENT_REQUESTS = 64;
/** Routes that are logged one by one. */
const MOST_LINES = 20;
const MAX_PASSES = 3;
/** Tables of the system, which we never empty. */
const SYSTEM_TABLES: readonly number[] = [0, TABLE.default, TABLE.main, TABLE.local];

/** Returns whether the agent may own every route in this table. */
export function isOwnTable(table: number): boolean {
  return Number.isInteger(table) && table > 0 && table <= 0xffffffff && !SYSTEM_TABLES.includes(table);
}

/** Reads the table, then adds, replaces and removes routes until it has the desired ones. */
export async function ensureRoutes(context: ApplyContext, link: number, tunnel: DesiredTunnel): Promise<void> {
  const { family, table } = tunnel;
  for (let pass = 0; ; pass++) {
    const existing = await context.host.network.routes.list({ family, table });
    const missing = new Map<string, NewRoute>();
    for (const route of tunnel.routes.values())
      for (const each of kernelRoutes(route, link, tunnel)) missing.set(keyOf(each), each);
    const surplus: Route[] = [];
    for (const route of existing) {
      const wanted = missing.get(keyOf(route));
      if (wanted && isRight(route, wanted, tunnel)) missing.delete(keyOf(route));
      else surplus.push(route);
    }
    // Setting a missing route replaces the first wrong route with the same destination and metric.
    // If the kernel did not replace it, the next pass removes it.
    const overwritten = new Set<string>();
    const toDelete = surplus.filter(route => {
      const key = keyOf(route);
      if (!missing.has(key) || overwritten.has(key) || (route.metric ?? 0) !== metricOf(missing.get(key)!, family))
        return true;
      overwritten.add(key);
      return false;
    });
    if (missing.size + toDelete.length === 0) return;
    if (pass === MAX_PASSES)
      throw new Error(
        `another program changes the routes of table ${table} as fast as we set them: find it, or choose another table`,
      );
    await write(context, [...missing.values()], toDelete.map(toRemove));
  }
}

/** Writes the differences from the tunnel applied before, without reading the table. */
export async function updateRoutes(
  context: ApplyContext,
  link: number,
  before: DesiredTunnel,
  tunnel: DesiredTunnel,
): Promise<void> {
  if (before.routes === tunnel.routes && before.routeProtocol === tunnel.routeProtocol) return;
  const set: NewRoute[] = [];
  const removed: NewRoute[] = [];
  const isProtocolChanged = before.routeProtocol !== tunnel.routeProtocol;
  const texts = isProtocolChanged
    ? new Set([...before.routes.keys(), ...tunnel.routes.keys()])
    : changedKeys(before.routes, tunnel.routes);
  for (const text of texts) {
    const previous = before.routes.get(text);
    const route = tunnel.routes.get(text);
    if (!route) removed.push(...kernelRoutes(previous!, link, before).map(identityOf));
    else if (isProtocolChanged || previous?.kind !== route.kind || previous.orElse !== route.orElse) {
      set.push(...kernelRoutes(route, link, tunnel));
      if (previous?.orElse && !route.orElse)
        removed.push(...kernelRoutes(previous, link, before).slice(1).map(identityOf));
    }
  }
  await write(context, set, removed);
}

/**
 * Makes routes into the tunnel unreachable until `ensureRoutes` restores them. Packets are then
 * dropped; other routes would send them in the clear.
 */
export async function blockRoutes(
  context: ApplyContext,
  link: number,
  { family, table, routeProtocol }: DesiredTunnel,
): Promise<void> {
  const existing = await context.host.network.routes.list({ family, table });
  const open = existing.filter(route => route.link === link && route.type === ROUTE_TYPE.unicast);
  await write(
    context,
    open.map(({ destination, metric }) => ({
      destination,
      table,
      protocol: routeProtocol,
      type: ROUTE_TYPE.unreachable,
      ...(metric !== undefined && { metric }),
    })),
    [],
  );
}

/** Removes every route of the table. Idempotent. */
export async function emptyTable(context: ApplyContext, table: number): Promise<void> {
  if (!isOwnTable(table)) return;
  const existing = await context.host.network.routes.list({ family: context.family, table });
  await write(context, [], existing.map(toRemove));
}

async function write(
  { host, recordChange }: ApplyContext,
  set: readonly NewRoute[],
  removed: readonly NewRoute[],
): Promise<void> {
  const { routes } = host.network;
  recordRoutes(recordChange, set, 'set');
  await inBatches(set, route => routes.replace(route));
  recordRoutes(recordChange, removed, 'removed');
  await inBatches(removed, async route => {
    try {
      await routes.remove(route);
    } catch (error) {
      // The route disappeared with its link, or another program removed it.
      if (!isRefusal(error, 'ESRCH', 'ENODEV')) throw error;
    }
  });
}

/** Logs each route, or their number: a large cluster has 100,000 of them. */
function recordRoutes(record: ApplyContext['recordChange'], routes: readonly NewRoute[], done: string): void {
  if (routes.length <= MOST_LINES) for (const route of routes) record(`route ${describeRoute(route)}: ${done}`);
  else record(`${routes.length} routes, first ${describeRoute(routes[0]!)}: ${done}`, routes.length);
}

async function inBatches<T>(items: readonly T[], action: (item: T) => Promise<void>): Promise<void> {
  for (let at = 0; at < items.length; at += CONCURRENT_REQUESTS) {
    const results = await Promise.allSettled(items.slice(at, at + CONCURRENT_REQUESTS).map(action));
    for (const result of results) if (result.status === 'rejected') throw result.reason;
  }
}

/**
 * Returns the kernel routes of a desired route: the route itself, then its fallback if it has one.
 */
function kernelRoutes(
  { destination, kind, orElse }: DesiredRoute,
  link: number,
  { table, routeProtocol }: DesiredTunnel,
): NewRoute[] {
  const common = { destination, table, protocol: routeProtocol };
  const first: NewRoute = { ...common, type: TYPE[kind], ...(kind === 'tunnel' && { link }) };
  return orElse ? [first, { ...common, type: TYPE[orElse], metric: FALLBACK_METRIC }] : [first];
}

function keyOf({ destination, metric }: Pick<NewRoute, 'destination' | 'metric'>): string {
  const text = formatPrefix(destination);
  return metric === FALLBACK_METRIC ? `${text} fallback` : text;
}

function identityOf({ destination, table, type, metric }: NewRoute): NewRoute {
  return { destination, table: table!, type: type!, ...(metric !== undefined && { metric }) };
}

function metricOf({ metric }: NewRoute, family: Family): number {
  return metric ?? DEFAULT_METRIC[family];
}

/** Returns the attributes that distinguish this route from others to the same destination. */
function toRemove({ destination, table, type, protocol, metric, link }: Route): NewRoute {
  return {
    destination,
    table,
    type,
    protocol,
    ...(metric !== undefined && { metric }),
    ...(link !== undefined && { link }),
  };
}

function isRight(route: Route, wanted: NewRoute, { family }: DesiredTunnel): boolean {
  return (
    route.type === wanted.type &&
    route.protocol === wanted.protocol &&
    (route.metric ?? 0) === metricOf(wanted, family) &&
    (wanted.link === undefined || route.link === wanted.link) &&
    !route.gateway &&
    !route.hops &&
    !route.source &&
    !route.preferredSource
  );
}
