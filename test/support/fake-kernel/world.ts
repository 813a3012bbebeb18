/** What the fake kernel is made of, and how its parts answer: messages, or a Refusal. */

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
  readonly hardwareAddress: Uint8Array | undefined;
}

export interface FakePeer {
  readonly publicKey: Uint8Array;
  presharedKey: Uint8Array;
  endpoint: Uint8Array;
  persistentKeepalive: number;
  /** In the kernel's order: as they were last given to it. */
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
  /** Whether its WireGuard is that of Linux 6.16, which can take single allowed IPs away. */
  readonly removesAllowedIps: boolean;
  /** Bytes of a dump's message, so that dumps are split. */
  readonly messageSize: number;
  readonly links: Map<number, FakeLink>;
  readonly addresses: InterfaceAddress[];
  readonly routes: Route[];
  /** In the order in which they are asked. */
  readonly rules: Rule[];
  /** WireGuard's own part of a link, by its index. */
  readonly devices: Map<number, FakeDevice>;
  nextIndex: number;
  announce(group: number, type: number, body: Uint8Array): void;
}

export type Handler = (world: World, message: NetlinkMessage) => Answer[];

/** The kernel's no. */
export class Refusal extends Error {
  readonly errno: number;
  readonly detail: string | undefined;

  constructor(code: string, detail?: string) {
    super(code);
    const errno = errnoOf(code);
    if (errno === undefined) throw new RangeError(`there is no errno ${code}`);
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

/** Takes out of a list in place, and returns it. */
export function takeOut<T>(list: T[], which: (item: T) => boolean): T[] {
  const out = list.filter(which);
  list.splice(0, list.length, ...list.filter(item => !out.includes(item)));
  return out;
}
