/**
 * The link of a device that outlives its process (`wireguard-ts --persist`). It is marked before it
 * becomes persistent, so that no moment of a crash leaves a persistent link without the marker. A
 * start with the same name adopts a marked link, with its addresses, routes and MTU. A persistent
 * TUN without the marker belongs to an administrator: it is used, and never deleted.
 */
import { codedError } from '../base/coded-error.ts';
import type { Tun } from '../io/ports.ts';
import type { Link, LinkReference } from '../netlink/links.ts';
import { Network } from '../netlink/network.ts';
import { isMarked, LINK_MARKER } from '../netlink/orphan.ts';
import type { NetlinkPort } from '../netlink/port.ts';

export interface KeptLinkSettings {
  readonly name: string;
  readonly port: NetlinkPort;
  /** Whether a link that this process creates is to outlive it. */
  readonly persist: boolean;
  /**
   * Whether the descriptor was inherited. The program that made the TUN decides how long it lives.
   */
  readonly isInherited: boolean;
}

export interface KeptLinkOptions extends KeptLinkSettings {
  /** Opens the TUN with this MTU; 0 keeps the MTU that it has. */
  readonly open: (mtu: number) => Tun;
  /** The MTU of a new link. */
  readonly mtu: number;
}

export class KeptLink {
  readonly tun: Tun;
  readonly #options: KeptLinkSettings;
  readonly #isOurs: boolean;
  #isPersistent: boolean;
  /** Whether a process that died left this link, which its start now adopted. */
  readonly isAdopted: boolean;

  private constructor(tun: Tun, options: KeptLinkSettings, isMarkedLink: boolean, isOurs?: boolean) {
    this.tun = tun;
    this.#options = options;
    this.#isPersistent = tun.wasPersistent === true;
    this.isAdopted = this.#isPersistent && isMarkedLink && !options.isInherited;
    this.#isOurs = isOurs ?? (this.isAdopted || (!this.#isPersistent && !options.isInherited));
  }

  /**
   * Goes on with the link of a process that is still there.
   * @param isOurs its `isOurs`
   */
  static takeOver(tun: Tun, settings: KeptLinkSettings, isOurs: boolean): KeptLink {
    return new KeptLink(tun, settings, false, isOurs);
  }

  /**
   * Opens the TUN: creates the link, or adopts one that has the name.
   * @throws Error with `code` EBUSY if a process has the link open
   */
  static async open(options: KeptLinkOptions): Promise<KeptLink> {
    const { port, name, open, mtu, isInherited } = options;
    const before = isInherited ? undefined : await findLink(port, name);
    const wasMarked = before !== undefined && isMarked(before);
    const tun = open(wasMarked ? 0 : mtu);
    try {
      const link = tun.wasPersistent || wasMarked ? await findLink(port, tun.status()?.name ?? name) : undefined;
      // The marked link was deleted just before open() created a new one.
      if (link && wasMarked && !tun.wasPersistent) await setMtu(port, link, mtu);
      return new KeptLink(tun, options, link !== undefined && isMarked(link));
    } catch (error) {
      tun.close();
      throw error;
    }
  }

  /** Makes the link outlive this process, if that was requested and the link is ours. */
  async keep(): Promise<void> {
    const { persist, port, name } = this.#options;
    if (!persist || !this.#isOurs || this.#isPersistent) return;
    await withNetwork(port, async ({ links }) => {
      const link = await links.find(this.tun.status()?.name ?? name);
      if (!link) throw codedError('ENODEV', `${name} was removed, or moved to another network namespace, at its start`);
      await links.change(link, { alias: LINK_MARKER });
    });
    this.tun.persist?.(true);
    this.#isPersistent = true;
  }

  /** Whether one of our processes created the link, so that a normal end deletes it. */
  get isOurs(): boolean {
    return this.#isOurs;
  }

  /** Returns whether the link outlives this process and is ours. */
  get isKept(): boolean {
    return this.#isOurs && this.#isPersistent;
  }

  /**
   * Ends the link together with this process: the kernel deletes it when the TUN is closed. Leaves
   * the link of an administrator. Idempotent.
   */
  release(): void {
    if (!this.isKept) return;
    this.#isPersistent = false;
    try {
      this.tun.persist?.(false);
    } catch {
      // The link was deleted.
    }
  }
}

/** Returns the text for the log about a link that was not created by this process. */
export function describeAdoption({ isAdopted, isOurs, tun }: KeptLink, name: string): string | undefined {
  if (isAdopted) return `adopted ${name}, which a process that died left, with its addresses and routes`;
  return tun.wasPersistent && !isOurs
    ? `uses ${name}, a persistent TUN of an administrator, which will stay`
    : undefined;
}

/** Finds a link. A machine that does not answer over netlink has no marked links for us. */
async function findLink(port: NetlinkPort, name: string): Promise<Link | undefined> {
  try {
    return await withNetwork(port, ({ links }) => links.find(name));
  } catch {
    return undefined;
  }
}

function setMtu(port: NetlinkPort, link: LinkReference, mtu: number): Promise<void> {
  return withNetwork(port, ({ links }) => links.change(link, { mtu }));
}

async function withNetwork<T>(port: NetlinkPort, use: (network: Network) => Promise<T>): Promise<T> {
  const network = new Network(port);
  try {
    return await use(network);
  } finally {
    network.close();
  }
}
