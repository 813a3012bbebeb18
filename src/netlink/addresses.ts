/** Addresses of interfaces over rtnetlink (struct ifaddrmsg). */
import { formatAddress } from '../base/address.ts';
import { AttributeWriter, attributesAfter } from './attributes.ts';
import { addressOrZero, type Family, familyNumber, familyOf, familyOfAddress } from './family.ts';
import type { LinkReference } from './links.ts';
import { FLAG, type NetlinkMessage } from './message.ts';
import { getU32, setU32 } from './native-order.ts';
import type { NetlinkSocket } from './socket.ts';

export const ADDRESS_MESSAGE = { new: 20, remove: 21, get: 22 } as const;
export const ADDRESS_HEADER_SIZE = 8;
export const ADDRESS = { address: 1, local: 2, label: 3, broadcast: 4, flags: 8, metric: 9 } as const;
/** Of an address's flags: IFA_F_*. */
export const ADDRESS_FLAG = { noDuplicateCheck: 0x02, tentative: 0x40, permanent: 0x80, noPrefixRoute: 0x200 } as const;
export const SCOPE = { universe: 0, site: 200, link: 253, host: 254, nowhere: 255 } as const;

export interface InterfaceAddress {
  /** The link's. */
  readonly index: number;
  /** 4 or 16 bytes. */
  readonly address: Uint8Array;
  readonly prefixLength: number;
  /** The far side of a point-to-point link, where it is another. */
  readonly peer?: Uint8Array;
  readonly scope: number;
  /** All of IFA_F_*. */
  readonly flags: number;
}

export interface NewAddress {
  readonly address: Uint8Array;
  readonly prefixLength: number;
  /** As `ip` chooses: host for 127.0.0.0/8, universe for all else. */
  readonly scope?: number;
  readonly flags?: number;
}

export class Addresses {
  readonly #socket: NetlinkSocket;

  constructor(socket: NetlinkSocket) {
    this.#socket = socket;
  }

  /** Of one link, or of all; of both families, or of one. */
  async list(link?: LinkReference, family?: Family): Promise<InterfaceAddress[]> {
    const bytes = header(family === undefined ? 0 : familyNumber(family), 0, 0, 0, link?.index ?? 0);
    const attempted = `listing addresses${link ? ` of ${link.name}` : ''}`;
    const messages = await this.#socket.dump(attempted, ADDRESS_MESSAGE.get, bytes);
    return messages
      .flatMap(message => decodeAddress(message) ?? [])
      .filter(({ index }) => link === undefined || index === link.index); // older kernels list all
  }

  /** @throws NetlinkError: EEXIST if the link has it already */
  async add(link: LinkReference, address: NewAddress): Promise<void> {
    await this.#new('adding', link, address, FLAG.create | FLAG.exclusive);
  }

  /** Adds it or, where it is already, sets its flags. */
  async replace(link: LinkReference, address: NewAddress): Promise<void> {
    await this.#new('setting', link, address, FLAG.create | FLAG.replace);
  }

  /** @throws NetlinkError: EADDRNOTAVAIL if it is not there */
  async remove(link: LinkReference, { address, prefixLength }: NewAddress): Promise<void> {
    const bytes = header(familyNumber(familyOfAddress(address)), prefixLength, 0, 0, link.index);
    const body = new AttributeWriter(bytes).bytes(ADDRESS.local, address).bytes(ADDRESS.address, address).finish();
    const attempted = `removing address ${formatAddress(address)}/${prefixLength} from ${link.name}`;
    await this.#socket.request(attempted, ADDRESS_MESSAGE.remove, 0, body);
  }

  async #new(verb: string, link: LinkReference, wanted: NewAddress, how: number): Promise<void> {
    const { address, prefixLength, flags = 0 } = wanted;
    const scope = wanted.scope ?? (address.length === 4 && address[0] === 127 ? SCOPE.host : SCOPE.universe);
    const bytes = header(familyNumber(familyOfAddress(address)), prefixLength, flags & 0xff, scope, link.index);
    const writer = new AttributeWriter(bytes).bytes(ADDRESS.local, address).bytes(ADDRESS.address, address);
    if (flags !== 0) writer.u32(ADDRESS.flags, flags);
    const attempted = `${verb} address ${formatAddress(address)}/${prefixLength} ${verb === 'adding' ? 'to' : 'on'} ${link.name}`;
    await this.#socket.request(attempted, ADDRESS_MESSAGE.new, how, writer.finish());
  }
}

/** @returns undefined for an address that is not IP's. @throws MalformedNetlink */
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
