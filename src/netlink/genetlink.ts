/**
 * Generic netlink (Documentation/userspace-api/netlink/intro.rst): looks up families by name and
 * writes the four-byte header before a family's attributes.
 */
import { type Attributes, AttributeWriter, attributesAfter } from './attributes.ts';
import { isRefusal, MalformedNetlink } from './errors.ts';
import type { NetlinkMessage } from './message.ts';
import { NETLINK_GENERIC, type NetlinkPort } from './port.ts';
import { NetlinkSocket } from './socket.ts';

export const GENERIC_HEADER_SIZE = 4;
/** The built-in family that looks up the other families. */
export const CONTROLLER = { id: 16, version: 2, newFamily: 1, getFamily: 3 } as const;
export const FAMILY = { id: 1, name: 2, version: 3 } as const;

export interface GenericFamily {
  readonly id: number;
  readonly name: string;
  readonly version: number;
}

export class GenericNetlink {
  readonly socket: NetlinkSocket;

  /** @throws NetlinkError */
  constructor(port: NetlinkPort) {
    this.socket = new NetlinkSocket(port, NETLINK_GENERIC);
  }

  /**
   * Looks up a family. The kernel loads the family's module if it may.
   * @returns undefined if the kernel does not have the family
   */
  async family(name: string): Promise<GenericFamily | undefined> {
    const body = genericWriter(CONTROLLER.getFamily, CONTROLLER.version).string(FAMILY.name, name).finish();
    try {
      const attempted = `finding the generic netlink family ${name}`;
      const [answer] = await this.socket.request(attempted, CONTROLLER.id, 0, body);
      return answer && decodeFamily(answer);
    } catch (error) {
      if (isRefusal(error, 'ENOENT')) return undefined;
      throw error;
    }
  }

  close(): void {
    this.socket.close();
  }
}

/** Returns a writer for a message of a family, ready for its attributes. */
export function genericWriter(command: number, version: number): AttributeWriter {
  return new AttributeWriter(Uint8Array.of(command, version, 0, 0));
}

/** @throws MalformedNetlink */
export function genericAttributes({ body }: NetlinkMessage, what: string): Attributes {
  return attributesAfter(GENERIC_HEADER_SIZE, body, what);
}

function decodeFamily(message: NetlinkMessage): GenericFamily {
  const attributes = genericAttributes(message, 'a family');
  const id = attributes.u16(FAMILY.id);
  if (id === undefined) throw new MalformedNetlink('a family has no number');
  return { id, name: attributes.string(FAMILY.name) ?? '', version: attributes.u32(FAMILY.version) ?? 0 };
}
