/**
 * Network interfaces over rtnetlink (rtnetlink(7), struct ifinfomsg): list, create, change, move,
 * remove.
 */
import { isInterfaceName } from '../base/interface-name.ts';
import { AttributeWriter, attributesAfter } from './attributes.ts';
import { isRefusal } from './errors.ts';
import { FLAG, type NetlinkMessage } from './message.ts';
import { getI32, getU32, setU32 } from './native-order.ts';
import type { NetlinkSocket } from './socket.ts';

export const LINK_MESSAGE = { new: 16, remove: 17, get: 18 } as const;
export const LINK_HEADER_SIZE = 16;
export const LINK = {
  address: 1,
  name: 3,
  mtu: 4,
  master: 10,
  queueLength: 13,
  operationalState: 16,
  info: 18,
  namespacePid: 19,
  alias: 20,
  namespaceFd: 28,
  extensions: 29,
  carrier: 33,
} as const;
export const LINK_INFO = { kind: 1, data: 2 } as const;
/** In a veth's LINK_INFO.data: a complete link message that describes the other end. */
const VETH_PEER = 1;
/** Flags in struct ifinfomsg. */
export const LINK_UP = 0x1;
export const LINK_LOOPBACK = 0x8;
export const LINK_RUNNING = 0x40;
/** RTEXT_FILTER_SKIP_STATS leaves out hundreds of unused bytes of each answer. */
const WITHOUT_STATISTICS = 1 << 3;

/** A network interface (rtnetlink(7)). */
export interface Link {
  /** The interface's number, which a rename does not change. */
  readonly index: number;
  /** The interface's name. */
  readonly name: string;
  /**
   * The kind of driver: `wireguard`, `tun`, `dummy`. Absent for hardware and the loopback, which
   * are not made by a link driver.
   */
  readonly kind?: string;
  /** MTU in bytes. */
  readonly mtu: number;
  /** Whether the interface is set up (IFF_UP). */
  readonly up: boolean;
  /** Whether the interface is up and has a carrier (IFF_RUNNING). */
  readonly running: boolean;
  /**
   * Whether the driver reports a carrier, also while the interface is down. A TUN has one while a
   * process has it open.
   */
  readonly carrier: boolean;
  /** All IFF_* bits. */
  readonly flags: number;
  /** Free text (the alias) that an administrator set. */
  readonly alias?: string;
  /** The index of the bridge, bond or VRF that the link belongs to. */
  readonly master?: number;
  /** The link-layer address, if the link has one. */
  readonly hardwareAddress?: Uint8Array;
}

/** Identifies a link, by index for the kernel and by name for people. */
export type LinkReference = Pick<Link, 'index' | 'name'>;

/**
 * A network namespace, given by a process in it or by an open descriptor of its file
 * (/proc/PID/ns/net).
 */
export type NetworkNamespace = { readonly pid: number } | { readonly fd: number };

export interface NewLink {
  readonly name: string;
  readonly kind: string;
  /** The other end of a `veth`; created in the current namespace by default. */
  readonly peer?: { readonly name: string; readonly namespace?: NetworkNamespace };
  readonly mtu?: number;
  readonly alias?: string;
  readonly up?: boolean;
}

/** Absent fields stay unchanged. */
export type LinkChange = Partial<Pick<Link, 'name' | 'mtu' | 'up'>> & {
  /** An empty string removes the alias. */
  readonly alias?: string;
};

export class Links {
  readonly #socket: NetlinkSocket;

  constructor(socket: NetlinkSocket) {
    this.#socket = socket;
  }

  async list(): Promise<Link[]> {
    const body = new AttributeWriter(header(0)).u32(LINK.extensions, WITHOUT_STATISTICS).finish();
    const messages = await this.#socket.dump('listing links', LINK_MESSAGE.get, body);
    return messages.filter(({ type }) => type === LINK_MESSAGE.new).map(decodeLink);
  }

  /** @returns undefined if there is no link with that name or index */
  async find(which: string | number): Promise<Link | undefined> {
    const writer = new AttributeWriter(header(typeof which === 'number' ? which : 0));
    if (typeof which === 'string') {
      if (!isInterfaceName(which)) return undefined;
      writer.string(LINK.name, which);
    }
    const body = writer.u32(LINK.extensions, WITHOUT_STATISTICS).finish();
    try {
      const answers = await this.#socket.request(`finding link ${which}`, LINK_MESSAGE.get, 0, body);
      const answer = answers.find(({ type }) => type === LINK_MESSAGE.new);
      return answer && decodeLink(answer);
    } catch (error) {
      if (isRefusal(error, 'ENODEV')) return undefined;
      throw error;
    }
  }

  /**
   * Creates a link and reads it back.
   * @throws NetlinkError: EEXIST if the name is in use, EOPNOTSUPP if the kernel does not support
   *   the kind
   */
  async create(link: NewLink): Promise<Link> {
    const { name, kind, up = false } = link;
    const attempted = `creating link ${name} of kind ${kind}`;
    const writer = new AttributeWriter(header(0, up ? LINK_UP : 0, up ? LINK_UP : 0)).string(LINK.name, name);
    if (link.mtu !== undefined) writer.u32(LINK.mtu, link.mtu);
    writer.nest(LINK.info, info => {
      info.string(LINK_INFO.kind, kind);
      if (link.peer) info.nest(LINK_INFO.data, data => writePeer(data, link.peer!));
    });
    await this.#socket.request(attempted, LINK_MESSAGE.new, FLAG.create | FLAG.exclusive, writer.finish());
    const made = await this.find(name);
    if (!made) throw new Error(`${attempted}: it was removed at once`);
    // the kernel ignores an alias when it creates a link
    if (link.alias) await this.change(made, { alias: link.alias });
    return link.alias ? { ...made, alias: link.alias } : made;
  }

  async change(link: LinkReference, change: LinkChange): Promise<void> {
    if (change.name !== undefined && change.up === false) {
      // the kernel applies the name first, and older ones cannot rename a link that is up
      const { up, ...rest } = change;
      await this.change(link, { up });
      await this.change(link, rest);
      return;
    }
    const { name, mtu, alias, up } = change;
    const words = [
      up === undefined ? [] : [up ? 'up' : 'down'],
      mtu === undefined ? [] : [`MTU ${mtu}`],
      name === undefined ? [] : [`name ${name}`],
      alias === undefined ? [] : [`alias "${alias}"`],
    ].flat();
    const writer = new AttributeWriter(header(link.index, up ? LINK_UP : 0, up === undefined ? 0 : LINK_UP));
    if (name !== undefined) writer.string(LINK.name, name);
    if (mtu !== undefined) writer.u32(LINK.mtu, mtu);
    if (alias !== undefined) writer.string(LINK.alias, alias);
    await this.#socket.request(`setting ${words.join(', ')} on ${link.name}`, LINK_MESSAGE.new, 0, writer.finish());
  }

  /**
   * Moves a link to another network namespace. There the link is down and has neither addresses nor
   * routes.
   * @param name the link's name there; unchanged by default
   * @throws NetlinkError: ESRCH, EBADF or EINVAL if there is no such namespace; EEXIST if the
   * current name is in use there. EEXIST is also thrown if only the new name is in use there; the
   * link has then moved and kept its name.
   */
  async move(link: LinkReference, namespace: NetworkNamespace, name = link.name): Promise<void> {
    const writer = new AttributeWriter(header(link.index)).string(LINK.name, name);
    writeNamespace(writer, namespace);
    const attempted = `moving link ${link.name} to ${describeNamespace(namespace)}${name === link.name ? '' : ` as ${name}`}`;
    await this.#socket.request(attempted, LINK_MESSAGE.new, 0, writer.finish());
  }

  /** Removes a link with all its addresses and routes. */
  async remove(link: LinkReference): Promise<void> {
    await this.#socket.request(`removing link ${link.name}`, LINK_MESSAGE.remove, 0, header(link.index));
  }
}

/** @throws MalformedNetlink */
export function decodeLink({ body }: NetlinkMessage): Link {
  const attributes = attributesAfter(LINK_HEADER_SIZE, body, 'a link');
  const flags = getU32(body, 8);
  const kind = attributes.nested(LINK.info)?.string(LINK_INFO.kind);
  const alias = attributes.string(LINK.alias);
  const master = attributes.u32(LINK.master);
  const hardwareAddress = attributes.bytes(LINK.address);
  return {
    index: getI32(body, 4),
    name: attributes.string(LINK.name) ?? '',
    ...(kind !== undefined && { kind }),
    mtu: attributes.u32(LINK.mtu) ?? 0,
    up: (flags & LINK_UP) !== 0,
    running: (flags & LINK_RUNNING) !== 0,
    carrier: attributes.u8(LINK.carrier) !== 0,
    flags,
    ...(alias && { alias }),
    ...(master !== undefined && { master }),
    ...(hardwareAddress?.length && { hardwareAddress }),
  };
}

/** Writes the other end of a veth: a nested message with its own header. */
function writePeer(data: AttributeWriter, { name, namespace }: NonNullable<NewLink['peer']>): void {
  const peer = new AttributeWriter(header(0)).string(LINK.name, name);
  if (namespace) writeNamespace(peer, namespace);
  data.bytes(VETH_PEER, peer.finish());
}

function writeNamespace(writer: AttributeWriter, namespace: NetworkNamespace): void {
  if ('pid' in namespace) writer.u32(LINK.namespacePid, namespace.pid);
  else writer.u32(LINK.namespaceFd, namespace.fd);
}

function describeNamespace(namespace: NetworkNamespace): string {
  return `the namespace of ${'pid' in namespace ? `process ${namespace.pid}` : `descriptor ${namespace.fd}`}`;
}

function header(index: number, flags = 0, mask = 0): Uint8Array {
  const bytes = new Uint8Array(LINK_HEADER_SIZE);
  setU32(bytes, 4, index);
  setU32(bytes, 8, flags);
  setU32(bytes, 12, mask);
  return bytes;
}
