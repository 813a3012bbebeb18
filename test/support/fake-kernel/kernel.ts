/**
 * A kernel for unit tests behind the same port as the real one: it parses the bytes of requests,
 * keeps links, addresses, routes, rules and WireGuard devices, answers with bytes, and notifies
 * listeners. The contract suite (test/contract/netlink.ts) compares it with the real one. Beyond
 * that it can fail on demand, change during a dump, lose events, and stop before any request:
 *
 * - `kernel.failNext('RTM_NEWADDR', 'EPERM')`: the next request of that name is refused.
 * - `kernel.before = name => { ... }`: sees each request; what it throws is thrown by the caller's
 *   send.
 * - `kernel.requests`: the names of the requests, in order.
 */

import { Attributes, AttributeWriter } from '../../../src/netlink/attributes.ts';
import { errnoOf } from '../../../src/netlink/errno.ts';
import { MalformedNetlink } from '../../../src/netlink/errors.ts';
import { CONTROLLER, FAMILY, GENERIC_HEADER_SIZE, genericWriter } from '../../../src/netlink/genetlink.ts';
import {
  decodeMessages,
  encodeMessage,
  FLAG,
  HEADER_SIZE,
  MESSAGE,
  type NetlinkMessage,
} from '../../../src/netlink/message.ts';
import { setI32 } from '../../../src/netlink/native-order.ts';
import {
  NETLINK_GENERIC,
  NETLINK_ROUTE,
  type NetlinkChannel,
  type NetlinkPort,
  type NetlinkReceiver,
} from '../../../src/netlink/port.ts';
import { WIREGUARD } from '../../../src/netlink/wireguard-layout.ts';
import { getAddresses, newAddress, removeAddress } from './addresses.ts';
import { getLinks, newLink, removeLink } from './links.ts';
import { getRoutes, newRoute, removeRoute } from './routes.ts';
import { firstRules, getRules, newRule, removeRule } from './rules.ts';
import { getDevice, setDevice, WIREGUARD_FAMILY } from './wireguard.ts';
import { type Answer, type Handler, linkNamed, Refusal, type World } from './world.ts';

const REQUESTS = {
  RTM_NEWLINK: newLink,
  RTM_DELLINK: removeLink,
  RTM_GETLINK: getLinks,
  RTM_NEWADDR: newAddress,
  RTM_DELADDR: removeAddress,
  RTM_GETADDR: getAddresses,
  RTM_NEWROUTE: newRoute,
  RTM_DELROUTE: removeRoute,
  RTM_GETROUTE: getRoutes,
  RTM_NEWRULE: newRule,
  RTM_DELRULE: removeRule,
  RTM_GETRULE: getRules,
  CTRL_CMD_GETFAMILY: getFamily,
  WG_CMD_GET_DEVICE: getDevice,
  WG_CMD_SET_DEVICE: setDevice,
} as const satisfies Record<string, Handler>;

export type RequestName = keyof typeof REQUESTS;

const ROUTE_REQUESTS: Readonly<Record<number, RequestName>> = {
  16: 'RTM_NEWLINK',
  17: 'RTM_DELLINK',
  18: 'RTM_GETLINK',
  20: 'RTM_NEWADDR',
  21: 'RTM_DELADDR',
  22: 'RTM_GETADDR',
  24: 'RTM_NEWROUTE',
  25: 'RTM_DELROUTE',
  26: 'RTM_GETROUTE',
  32: 'RTM_NEWRULE',
  33: 'RTM_DELRULE',
  34: 'RTM_GETRULE',
};

export interface FakeKernelOptions {
  /** The kinds of links that it can create. */
  readonly kinds?: readonly string[];
  readonly removesAllowedIps?: boolean;
  readonly messageSize?: number;
}

interface Listener {
  readonly groups: readonly number[];
  readonly receiver: NetlinkReceiver;
  open: boolean;
}

export class FakeKernel implements NetlinkPort {
  readonly world: World;
  /** The names of all requests, in order. */
  readonly requests: RequestName[] = [];
  before: ((name: RequestName) => void) | undefined;
  readonly #failures: { readonly name: RequestName; readonly refusal: Refusal; left: number }[] = [];
  readonly #listeners = new Set<Listener>();
  #dumpsToInterrupt = 0;

  constructor(options: FakeKernelOptions = {}) {
    const { kinds = ['wireguard', 'dummy', 'ifb'], removesAllowedIps = true, messageSize = 4096 } = options;
    const loopback = {
      index: 1,
      name: 'lo',
      kind: undefined,
      mtu: 65536,
      up: false,
      alias: '',
      carrier: true,
      hardwareAddress: new Uint8Array(6),
    };
    this.world = {
      kinds,
      removesAllowedIps,
      messageSize,
      links: new Map([[1, loopback]]),
      addresses: [],
      routes: [],
      rules: firstRules(),
      devices: new Map(),
      nextIndex: 2,
      announce: (group, type, body) => this.#announce(group, type, body),
    };
  }

  /** Refuses the next `times` requests of that name, which then change nothing. */
  failNext(name: RequestName, code: string, { times = 1, detail }: { times?: number; detail?: string } = {}): void {
    this.#failures.push({ name, refusal: new Refusal(code, detail), left: times });
  }

  /** Marks the next dumps as interrupted by a change. */
  interruptDumps(times: number): void {
    this.#dumpsToInterrupt = times;
  }

  /** Notifies the listeners that events were lost. */
  loseEvents(): void {
    for (const listener of this.#listeners)
      if (listener.groups.length > 0) deliver(listener, () => listener.receiver.lost());
  }

  /** Returns the status of a WireGuard device by its link's name, as the kernel keeps it. */
  device(name: string) {
    const link = linkNamed(this.world, name);
    return link && this.world.devices.get(link.index);
  }

  open(protocol: number, groups: readonly number[], receiver: NetlinkReceiver): NetlinkChannel {
    if (protocol !== NETLINK_ROUTE && protocol !== NETLINK_GENERIC)
      throw Object.assign(new Error('socket: Protocol not supported'), { errno: errnoOf('EPROTONOSUPPORT') });
    const listener: Listener = { groups, receiver, open: true };
    this.#listeners.add(listener);
    return {
      send: bytes => {
        // The bytes belong to the caller, who overwrites them.
        for (const message of decodeMessages(bytes.slice()))
          for (const datagram of this.#answer(protocol, message)) deliver(listener, () => receiver.datagram(datagram));
      },
      close: () => {
        listener.open = false;
        this.#listeners.delete(listener);
      },
    };
  }

  /** Returns the datagrams that answer a request. */
  #answer(protocol: number, message: NetlinkMessage): Uint8Array[] {
    const name = nameOf(protocol, message);
    // In other requests the same bits select the mode: replace, exclusive.
    const dump = name !== undefined && /_GET(?!FAMILY)/.test(name) && (message.flags & FLAG.dump) === FLAG.dump;
    try {
      if (!name) throw new Refusal('EOPNOTSUPP');
      this.requests.push(name);
      this.before?.(name);
      this.#failIfRequested(name);
      const answers = REQUESTS[name](this.world, message);
      return dump
        ? this.#dump(message, answers)
        : [...answers.map(answer => encode(message, answer, 0)), verdict(message)];
    } catch (error) {
      if (error instanceof Refusal) return [verdict(message, error)];
      if (error instanceof MalformedNetlink) return [verdict(message, new Refusal('EINVAL', error.message))];
      throw error;
    }
  }

  #dump(message: NetlinkMessage, answers: readonly Answer[]): Uint8Array[] {
    const interrupted = this.#dumpsToInterrupt > 0 ? FLAG.dumpInterrupted : 0;
    if (interrupted) this.#dumpsToInterrupt--;
    const flags = FLAG.multi | interrupted;
    const datagrams: Uint8Array[][] = [[]];
    for (const part of answers.map(answer => encode(message, answer, flags))) {
      const size = datagrams.at(-1)!.reduce((sum, { length }) => sum + length, 0);
      if (size + part.length > this.world.messageSize) datagrams.push([]);
      datagrams.at(-1)!.push(part);
    }
    const done = encode(message, { type: MESSAGE.done, body: new Uint8Array(4) }, flags);
    return [...datagrams.filter(parts => parts.length > 0).map(parts => Uint8Array.from(Buffer.concat(parts))), done];
  }

  #failIfRequested(name: RequestName): void {
    const failure = this.#failures.find(each => each.name === name && each.left > 0);
    if (!failure) return;
    failure.left--;
    throw failure.refusal;
  }

  #announce(group: number, type: number, body: Uint8Array): void {
    const datagram = encodeMessage({ type, flags: 0, sequence: 0, port: 0, body });
    for (const listener of this.#listeners)
      if (listener.groups.includes(group)) deliver(listener, () => listener.receiver.datagram(datagram.slice()));
  }
}

/** Delivers later and in order, like a real socket. */
function deliver(listener: Listener, what: () => void): void {
  setImmediate(() => {
    if (listener.open) what();
  });
}

function nameOf(protocol: number, { type, body }: NetlinkMessage): RequestName | undefined {
  if (protocol === NETLINK_ROUTE) return ROUTE_REQUESTS[type];
  if (type === CONTROLLER.id && body[0] === CONTROLLER.getFamily) return 'CTRL_CMD_GETFAMILY';
  if (type !== WIREGUARD_FAMILY) return undefined;
  if (body[0] === WIREGUARD.get) return 'WG_CMD_GET_DEVICE';
  return body[0] === WIREGUARD.set ? 'WG_CMD_SET_DEVICE' : undefined;
}

function getFamily(world: World, { body }: NetlinkMessage): Answer[] {
  const name = Attributes.parse(body.subarray(GENERIC_HEADER_SIZE), 'a family').string(FAMILY.name);
  if (name !== WIREGUARD.name || !world.kinds.includes(WIREGUARD.name)) throw new Refusal('ENOENT');
  const answer = genericWriter(CONTROLLER.newFamily, CONTROLLER.version)
    .string(FAMILY.name, name)
    .u16(FAMILY.id, WIREGUARD_FAMILY)
    .u32(FAMILY.version, WIREGUARD.version);
  return [{ type: CONTROLLER.id, body: answer.finish() }];
}

function encode({ sequence }: NetlinkMessage, { type, body }: Answer, flags: number): Uint8Array {
  return encodeMessage({ type, flags, sequence, port: 1, body });
}

/** Encodes NLMSG_ERROR: the errno, the header of the request, and a message. */
function verdict(message: NetlinkMessage, refusal?: Refusal): Uint8Array {
  const head = new Uint8Array(4 + HEADER_SIZE);
  setI32(head, 0, -(refusal?.errno ?? 0));
  head.set(encodeMessage({ ...message, body: new Uint8Array(0) }), 4);
  const writer = new AttributeWriter(head);
  if (refusal?.detail !== undefined) writer.string(1, refusal.detail);
  const flags = FLAG.capped | (refusal?.detail === undefined ? 0 : FLAG.explained);
  return encode(message, { type: MESSAGE.error, body: writer.finish() }, flags);
}
