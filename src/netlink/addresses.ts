/** Addresses of interfaces over rtnetlink (struct ifaddrmsg). */
import { formatAddress } from '../base/address.ts';
import { type Family, familyOfAddress } from '../base/family.ts';
import { AttributeWriter, attributesAfter } from './attributes.ts';
import { addressOrZero, familyNumber, familyOf } from './family.ts';
import type { LinkReference } from './links.ts';
import { FLAG, type NetlinkMessage } from './message.ts';
import { getU32, setU32 } from './native-order.ts';
import type { NetlinkSocket } from './socket.ts';

export const ADDRESS_MESSAGE = { new: 20, remove: 21, get: 22 } as const;
const ADDRESS_HEADER_SIZE = 8;
export const ADDRESS = { address: 1, local: 2, label: 3, broadcast: 4, flags: 8, metric: 9 } as const;
/** Address flags (IFA_F_*). */
export const ADDRESS_FLAG = { noDuplicateCheck: 0x02, tentative: 0x40, permanent: 0x80, noPrefixRoute: 0x200 } as const;
export const SCOPE = { universe: 0, site: 200, link: 253, host: 254, nowhere: 255 } as const;

export interface InterfaceAddress {
  /** The link's index. */
  readonly index: number;
  /** 4 or 16 bytes. */
  readonly address: Uint8Array;
  readonly prefixLength: number;
  /** The address of the other end of a point-to-point link, if it differs from `address`. */
  readonly peer?: Uint8Array;
  readonly scope: number;
  /** All IFA_F_* bits. */
  readonly flags: number;
}

export interface NewAddress {
  readonly address: Uint8Array;
  readonly prefixLength: number;
  /** Default as in `ip`: host for 127.0.0.0/8, universe otherwise. */
  readonly scope?: number;
  readonly flags?: number;
}

export class Addresses {
  readonly #socket: NetlinkSocket;

  constructor(socket: NetlinkSocket) {
    this.#socket = socket;
  }

  /** Lists the addresses of one link or of all links, of one family or of both. */
  async list(link?: LinkReference, family?: Family): Promise<InterfaceAddress[]> {
    const bytes = header(family === undefined ? 0 : familyNumber(family), 0, 0, 0, link?.index ?? 0);
    const attempted = `listing addresses${link ? ` of ${link.name}` : ''}`;
    const messages = await this.#socket.dump(attempted, ADDRESS_MESSAGE.get, bytes);
    return (
      messages
        .flatMap(message => decodeAddress(message) ?? [])
        // Older kernels ignore the filter, so filter again here.
        .filter(({ index }) => link === undefined || index === link.index)
    );
  }

  /** Adds an address. @throws NetlinkError: EEXIST if the link already has it */
  async add(link: LinkReference, address: NewAddress): Promise<void> {
    await this.#create('adding', link, address, FLAG.create | FLAG.exclusive);
  }

  /** Adds an address, or sets its flags if the link already has it. */
  async replace(link: LinkReference, address: NewAddress): Promise<void> {
    await this.#create('setting', link, address, FLAG.create | FLAG.replace);
  }

  /** Removes an address. @throws NetlinkError: EADDRNOTAVAIL if the link does not have it */
  async remove(link: LinkReference, { address, prefixLength }: NewAddress): Promise<void> {
    const bytes = header(familyNumber(familyOfAddress(address)), prefixLength, 0, 0, link.index);
    const body = new AttributeWriter(bytes).bytes(ADDRESS.local, address).bytes(ADDRESS.address, address).finish();
    const attempted = `removing address ${formatAddress(address)}/${prefixLength} from ${link.name}`;
    await this.#socket.request(attempted, ADDRESS_MESSAGE.remove, 0, body);
  }

  async #create(verb: string, link: LinkReference, wanted: NewAddress, flagsOfRequest: number): Promise<void> {
    const { address, prefixLength, flags = 0 } = wanted;
    const scope = wanted.scope ?? (address.length === 4 && address[0] === 127 ? SCOPE.host : SCOPE.universe);
    const bytes = header(familyNumber(familyOfAddress(address)), prefixLength, flags & 0xff, scope, link.index);
    const writer = new AttributeWriter(bytes).bytes(ADDRESS.local, address).bytes(ADDRESS.address, address);
    if (flags !== 0) writer.u32(ADDRESS.flags, flags);
    const attempted = `${verb} address ${formatAddress(address)}/${prefixLength} ${verb === 'adding' ? 'to' : 'on'} ${link.name}`;
    await this.#socket.request(attempted, ADDRESS_MESSAGE.new, flagsOfRequest, writer.finish());
  }
}

/** @returns undefined if the message does not concern an IP address. @throws MalformedNetlink */
export function decodeAddress({ type, body }: NetlinkMessage): InterfaceAddress | undefined {
  if (type !== ADDRESS_MESSAGE.new && type !== ADDRESS_MESSAGE.remove) return undefined;
  const attributes = attributesAfter(ADDRESS_HEADER_SIZE, body, 'an address');
  const family = familyOf(body[0]);
  if (family === undefined) return undefined;
  const prefix = attributes.bytes(ADDRESS.address);
  const address = addressOrZero(attributes.bytes(ADDRESS.local) ?? prefix, family, 'an address');
  const peer = prefix && addressOrZero(prefix, family, 'an address');
  return {
    index: getU32(body, 4),
    address,
    prefixLength: body[1]!,
    ...(peer && formatAddress(peer) !== formatAddress(address) && { peer }),
    scope: body[3]!,
    flags: attributes.u32(ADDRESS.flags) ?? body[2]!,
  };
}

function header(family: number, prefixLength: number, flags: number, scope: number, index: number): Uint8Array {
  const bytes = Uint8Array.of(family, prefixLength, flags, scope, 0, 0, 0, 0);
  setU32(bytes, 4, index);
  return bytes;
}
