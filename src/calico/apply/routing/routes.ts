/**
 * The routes of the tunnel's table (docs/reference/calico-felix.md#routes), all of which are ours. One that changes its kind is replaced in place, and what comes is
 * put in before what must go is taken out: there is no moment in which a wider route, or none, answers for it.
 */
import { formatPrefix } from '../../../base/prefix.ts';
import { isRefusal } from '../../../netlink/errors.ts';
import type { Family } from '../../../netlink/family.ts';
import { ROUTE_TYPE, type Route, TABLE } from '../../../netlink/route.ts';
import { describeRoute, type NewRoute } from '../../../netlink/routes.ts';
import type { DesiredRoute, DesiredTunnel } from '../../model/desired.ts';
import type { Work } from '../ports.ts';

const TYPE = { tunnel: ROUTE_TYPE.unicast, throw: ROUTE_TYPE.throw, unreachable: ROUTE_TYPE.unreachable } as const;
/** What the kernel gives an IPv6 route for which none is said; IPv4 knows 0. */
const METRIC = { 4: 0, 6: 1024 } as const;
/** Of what answers when all others are gone. */
const LAST = 0xffffffff;
const AT_ONCE = 64;
const PASSES = 3;
/** Never ours to empty. */
const OTHERS: readonly number[] = [0, TABLE.default, TABLE.main, TABLE.local];

/** Whether every route in it can be ours. */
export function isOwnTable(table: number): boolean {
  return Number.isInteger(table) && table > 0 && table <= 0xffffffff && !OTHERS.includes(table);
}

/** Reads what is there. */
export async function ensureRoutes(work: Work, link: number, tunnel: DesiredTunnel): Promise<void> {
  const { family, table } = tunnel;
  for (let pass = 0; ; pass++) {
    const there = await work.host.network.routes.list({ family, table });
    const missing = new Map<string, NewRoute>();
    for (const route of tunnel.routes.values())
      for (const each of kernelRoutes(route, link, tunnel)) missing.set(keyOf(each), each);
    const surplus: Route[] = [];
    for (const route of there) {
      const wanted = missing.get(keyOf(route));
      if (wanted && isRight(route, wanted, tunnel)) missing.delete(keyOf(route));
      else surplus.push(route);
    }
    // the first wrong one of a missing route is overwritten; should it not have been, the next pass sees it
    const overwritten = new Set<string>();
    const gone = surplus.filter(route => {
      const key = keyOf(route);
      if (!missing.has(key) || overwritten.has(key) || (route.metric ?? 0) !== metricOf(missing.get(key)!, family))
        return true;
      overwritten.add(key);
      return false;
    });
    if (missing.size + gone.length === 0) return;
    if (pass === PASSES)
      throw new Error(`the routes of table ${table} are changed by somebody else as fast as they are set`);
    await write(work, [...missing.values()], gone.map(toRemove));
  }
}

/** From what was set before to this, unread. */
export async function changeRoutes(
  work: Work,
  link: number,
  before: DesiredTunnel,
  tunnel: DesiredTunnel,
): Promise<void> {
  if (before.routes === tunnel.routes && before.routeProtocol === tunnel.routeProtocol) return;
  const set: NewRoute[] = [];
  const gone: NewRoute[] = [];
  for (const [text, route] of tunnel.routes) {
    const was = before.routes.get(text);
    if (was?.kind === route.kind && was.orElse === route.orElse && before.routeProtocol === tunnel.routeProtocol)
      continue;
    set.push(...kernelRoutes(route, link, tunnel));
    if (was?.orElse && !route.orElse) gone.push(...kernelRoutes(was, link, before).slice(1).map(toForget));
  }
  for (const [text, route] of before.routes)
    if (!tunnel.routes.has(text)) gone.push(...kernelRoutes(route, link, before).map(toForget));
  await write(work, set, gone);
}

/** What leads into the tunnel leads nowhere, until the routes are ensured: better than where other routes would have it. */
export async function closeRoutes(
  work: Work,
  link: number,
  { family, table, routeProtocol }: DesiredTunnel,
): Promise<void> {
  const there = await work.host.network.routes.list({ family, table });
  const open = there.filter(route => route.link === link && route.type === ROUTE_TYPE.unicast);
  await write(
    work,
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

/** Whatever is in the table. Idempotent. */
export async function emptyTable(work: Work, table: number): Promise<void> {
  if (!isOwnTable(table)) return;
  const there = await work.host.network.routes.list({ family: work.family, table });
  await write(work, [], there.map(toRemove));
}

async function write({ host, change }: Work, set: readonly NewRoute[], gone: readonly NewRoute[]): Promise<void> {
  const { routes } = host.network;
  await each(set, async route => {
    change(`route ${describeRoute(route)}: set`);
    await routes.replace(route);
  });
  await each(gone, async route => {
    change(`route ${describeRoute(route)}: removed`);
    try {
      await routes.remove(route);
    } catch (error) {
      // it went with its link, or by another's hand
      if (!isRefusal(error, 'ESRCH', 'ENODEV')) throw error;
    }
  });
}

async function each<T>(items: readonly T[], action: (item: T) => Promise<void>): Promise<void> {
  for (let at = 0; at < items.length; at += AT_ONCE) {
    const results = await Promise.allSettled(items.slice(at, at + AT_ONCE).map(action));
    for (const result of results) if (result.status === 'rejected') throw result.reason;
  }
}

/** One that has another behind it is two: it comes first. */
function kernelRoutes(
  { destination, kind, orElse }: DesiredRoute,
  link: number,
  { table, routeProtocol }: DesiredTunnel,
): NewRoute[] {
  const common = { destination, table, protocol: routeProtocol };
  const first: NewRoute = { ...common, type: TYPE[kind], ...(kind === 'tunnel' && { link }) };
  return orElse ? [first, { ...common, type: TYPE[orElse], metric: LAST }] : [first];
}

function keyOf({ destination, metric }: Pick<NewRoute, 'destination' | 'metric'>): string {
  const text = formatPrefix(destination);
  return metric === LAST ? `${text} at last` : text;
}

function toForget({ destination, table, type, metric }: NewRoute): NewRoute {
  return { destination, table: table!, type: type!, ...(metric !== undefined && { metric }) };
}

function metricOf({ metric }: NewRoute, family: Family): number {
  return metric ?? METRIC[family];
}

/** All that tells it from others to the same destination. */
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
