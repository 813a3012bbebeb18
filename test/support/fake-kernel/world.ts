/** The state of the fake kernel, and how its parts answer: with messages, or a Refusal. */

import type { Prefix } from '../../../src/base/prefix.ts';
import type { InterfaceAddress } from '../../../src/netlink/addresses.ts';
import { errnoOf } from '../../../src/netlink/errno.ts';
import type { NetlinkMessage } from '../../../src/netlink/message.ts';
import type { Route } from '../../../src/netlink/route.ts';
import type { Rule } from '../../../src/netlink/rules.ts';

export interface FakeLink {
  readonly index: number;
  name: string;
  readonly kind: string | undefined;
  mtu: number;
  up: boolean;
  alias: string;
  /** Whether a process serves the link; false makes an orphan. */
  carrier: boolean;
  readonly hardwareAddress: Uint8Array | undefined;
}

export interface FakePeer {
  readonly publicKey: Uint8Array;
  presharedKey: Uint8Array;
  endpoint: Uint8Array;
  persistentKeepalive: number;
  /** In the kernel's order, that of their last assignment. */
  readonly allowedIps: Map<string, Prefix>;
}

export interface FakeDevice {
  privateKey: Uint8Array;
  listenPort: number;
  fwmark: number;
  readonly peers: Map<string, FakePeer>;
}

export interface Answer {
  readonly type: number;
  readonly body: Uint8Array;
}

export interface World {
  readonly kinds: readonly string[];
  /** Whether WireGuard can remove single allowed IPs, as since Linux 6.16. */
  readonly removesAllowedIps: boolean;
  /** Maximum bytes of a message of a dump, so that dumps are split. */
  readonly messageSize: number;
  readonly links: Map<number, FakeLink>;
  readonly addresses: InterfaceAddress[];
  readonly routes: Route[];
  /** In evaluation order. */
  readonly rules: Rule[];
  /** The WireGuard part of links, by index. */
  readonly devices: Map<number, FakeDevice>;
  nextIndex: number;
  announce(group: number, type: number, body: Uint8Array): void;
}

export type Handler = (world: World, message: NetlinkMessage) => Answer[];

/** An error that the kernel answers. */
export class Refusal extends Error {
  readonly errno: number;
  readonly detail: string | undefined;

  constructor(code: string, detail?: string) {
    super(code);
    const errno = errnoOf(code);
    if (errno === undefined) throw new RangeError(`unknown errno ${code}`);
    this.errno = errno;
    this.detail = detail;
  }
}

export function linkOf(world: World, index: number): FakeLink {
  const link = world.links.get(index);
  if (!link) throw new Refusal('ENODEV');
  return link;
}

export function linkNamed(world: World, name: string): FakeLink | undefined {
  return [...world.links.values()].find(link => link.name === name);
}

/** Removes matching items from a list in place, and returns them. */
export function takeOut<T>(list: T[], which: (item: T) => boolean): T[] {
  const out = list.filter(which);
  list.splice(0, list.length, ...list.filter(item => !out.includes(item)));
  return out;
}
