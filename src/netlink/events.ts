/** What the kernel tells of changes to links, addresses, routes and rules, as they happen (rtnetlink's multicast groups). */
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
  /** Some were lost: whoever keeps a picture must look again at everything. */
  | { readonly of: 'resync' };

/** Types of messages that say that something is no more. */
const GONE: readonly number[] = [
  LINK_MESSAGE.remove,
  ADDRESS_MESSAGE.remove,
  ROUTE_MESSAGE.remove,
  RULE_MESSAGE.remove,
];

export interface Watch {
  /** No event after this. Idempotent. */
  close(): void;
}

/**
 * Calls back for each event until closed. If the socket itself fails, the last event is 'resync' and `onEnd` is called.
 * @throws NetlinkError
 */
export function watchNetwork(
  port: NetlinkPort,
  what: readonly Watched[],
  onEvent: (event: NetworkEvent) => void,
  onEnd: (error: Error) => void = () => {},
): Watch {
  const groups = what.flatMap(name => [...GROUPS[name]]);
  let open = true;
  const tell = (event: NetworkEvent): void => {
    if (open) onEvent(event);
  };
  const channel: NetlinkChannel = attempt(`listening for changes of ${what.join(', ')}`, () =>
    port.open(NETLINK_ROUTE, groups, {
      datagram: bytes => {
        for (const event of eventsOf(bytes)) tell(event);
      },
      lost: () => tell({ of: 'resync' }),
      failed: error => {
        tell({ of: 'resync' });
        if (open) onEnd(error);
        open = false;
      },
    }),
  );
  return {
    close() {
      open = false;
      channel.close();
    },
  };
}

/** What cannot be read may have been anything. */
function eventsOf(datagram: Uint8Array): NetworkEvent[] {
  try {
    return decodeMessages(datagram).flatMap(message => decodeEvent(message) ?? []);
  } catch {
    return [{ of: 'resync' }];
  }
}

/** @returns undefined for what is none of these. @throws MalformedNetlink */
export function decodeEvent(message: NetlinkMessage): NetworkEvent | undefined {
  const gone = GONE.includes(message.type);
  if (message.type === LINK_MESSAGE.new || message.type === LINK_MESSAGE.remove) {
    // a bridge says of its ports what looks like a link but is the bridge's
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
