/** Watches changes to links, addresses, routes and rules through rtnetlink's multicast groups. */
import { ADDRESS_MESSAGE, decodeAddress, type InterfaceAddress } from './addresses.ts';
import { decodeLink, LINK_MESSAGE, type Link } from './links.ts';
import { decodeMessages, type NetlinkMessage } from './message.ts';
import { NETLINK_ROUTE, type NetlinkChannel, type NetlinkPort } from './port.ts';
import { decodeRoute, ROUTE_FLAG, ROUTE_MESSAGE, type Route } from './route.ts';
import { decodeRule, RULE_MESSAGE, type Rule } from './rules.ts';
import { attempt } from './socket.ts';

/** RTNLGRP_*. */
export const GROUPS = {
  link: [1],
  address: [5, 9],
  route: [7, 11],
  rule: [8, 19],
} as const;

export type Watched = keyof typeof GROUPS;

export type NetworkEvent =
  | { readonly of: 'link'; readonly gone: boolean; readonly link: Link }
  | { readonly of: 'address'; readonly gone: boolean; readonly address: InterfaceAddress }
  | { readonly of: 'route'; readonly gone: boolean; readonly route: Route }
  | { readonly of: 'rule'; readonly gone: boolean; readonly rule: Rule }
  /** Events were lost, so listeners that keep state must read everything again. */
  | { readonly of: 'resync' };

/** Message types that report a removal. */
const GONE: readonly number[] = [
  LINK_MESSAGE.remove,
  ADDRESS_MESSAGE.remove,
  ROUTE_MESSAGE.remove,
  RULE_MESSAGE.remove,
];

export interface Watch {
  /** Stops the watch: no event follows. Idempotent. */
  close(): void;
}

/**
 * Calls `onEvent` for each event until closed. If the socket fails, the last event is 'resync' and
 * `onEnd` is called.
 * @throws NetlinkError
 */
export function watchNetwork(
  port: NetlinkPort,
  what: readonly Watched[],
  onEvent: (event: NetworkEvent) => void,
  onEnd: (error: Error) => void = () => {},
): Watch {
  const groups = what.flatMap(name => [...GROUPS[name]]);
  let isOpen = true;
  const notify = (event: NetworkEvent): void => {
    if (isOpen) onEvent(event);
  };
  const channel: NetlinkChannel = attempt(`listening for changes of ${what.join(', ')}`, () =>
    port.open(NETLINK_ROUTE, groups, {
      datagram: bytes => {
        for (const event of eventsOf(bytes)) notify(event);
      },
      lost: () => notify({ of: 'resync' }),
      failed: error => {
        notify({ of: 'resync' });
        if (isOpen) onEnd(error);
        isOpen = false;
      },
    }),
  );
  return {
    close() {
      isOpen = false;
      channel.close();
    },
  };
}

/**
 * Decodes a datagram. A datagram that cannot be parsed may have reported any change, so it becomes
 * 'resync'.
 */
function eventsOf(datagram: Uint8Array): NetworkEvent[] {
  try {
    return decodeMessages(datagram).flatMap(message => decodeEvent(message) ?? []);
  } catch {
    return [{ of: 'resync' }];
  }
}

/** @returns undefined if the message does not report a watched event. @throws MalformedNetlink */
export function decodeEvent(message: NetlinkMessage): NetworkEvent | undefined {
  const gone = GONE.includes(message.type);
  if (message.type === LINK_MESSAGE.new || message.type === LINK_MESSAGE.remove) {
    // a bridge reports its ports in messages of the same type, with family AF_BRIDGE
    if (message.body[0] !== 0) return undefined;
    return { of: 'link', gone, link: decodeLink(message) };
  }
  const address = decodeAddress(message);
  if (address) return { of: 'address', gone, address };
  const route = decodeRoute(message);
  if (route) return route.flags & ROUTE_FLAG.cached ? undefined : { of: 'route', gone, route };
  const rule = decodeRule(message);
  return rule && { of: 'rule', gone, rule };
}
