/**
 * The stage of every netlink contract test: a network with a link of its own; everything is removed
 * afterwards.
 */
import { afterEach, beforeEach } from 'vitest';
import { parseAddress } from '../../src/base/address.ts';
import { type Prefix, parsePrefix } from '../../src/base/prefix.ts';
import { ADDRESS_FLAG, type NewAddress } from '../../src/netlink/addresses.ts';
import type { Link } from '../../src/netlink/links.ts';
import { Network } from '../../src/netlink/network.ts';
import type { NetlinkPort } from '../../src/netlink/port.ts';
import { PROTOCOL } from '../../src/netlink/route.ts';

export const OWN_TABLE = 51820;

export interface Stage {
  network: Network;
  /** The link nl0, which is up. */
  link: Link;
}

/** Prepares the stage before each test. @param kind a link kind that needs no further options */
export function stage(open: () => NetlinkPort, kind: () => string): Stage {
  const on = {} as Stage;
  beforeEach(async () => {
    on.network = new Network(open());
    const lo = await on.network.links.find('lo');
    await on.network.links.change(lo!, { up: true });
    on.link = await on.network.links.create({ name: 'nl0', kind: kind(), up: true });
  });
  afterEach(async () => {
    const { links, rules, routes } = on.network;
    for (const name of ['nl0', 'nl1', 'nl2']) {
      const left = await links.find(name);
      if (left) await links.remove(left);
    }
    for (const rule of await rules.list()) if (rule.protocol !== PROTOCOL.kernel) await rules.remove(rule);
    for (const route of await routes.list({ table: OWN_TABLE })) await routes.remove(route);
    on.network.close();
  });
  return on;
}

/** Returns the error message of an action that must fail. */
export function rejection(promise: Promise<unknown>): Promise<string> {
  return promise.then(
    () => 'no error',
    (error: Error) => error.message,
  );
}

export const ip = (text: string): Uint8Array => parseAddress(text)!;
export const net = (text: string): Prefix => parsePrefix(text)!;
/** Parses an address such as `10.0.0.1/24`. */
export const host = (text: string): NewAddress => {
  const [address, length] = text.split('/');
  // Without duplicate address detection, which would take a second.
  const flags = text.includes(':') ? ADDRESS_FLAG.noDuplicateCheck : 0;
  return { address: ip(address!), prefixLength: Number(length), flags };
};
