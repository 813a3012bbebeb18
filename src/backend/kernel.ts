/**
 * Devices of the kernel's own WireGuard, over netlink. Reading or setting one needs CAP_NET_ADMIN,
 * listing does not. No socket is opened and no module is loaded before a caller names a device of
 * the kernel.
 */
import { codedError } from '../base/coded-error.ts';
import { checkInterfaceName } from '../base/interface-name.ts';
import type { DeviceConfig, DeviceStatus } from '../config/model.ts';
import { isRefusal, NetlinkError } from '../netlink/errors.ts';
import { Network } from '../netlink/network.ts';
import type { NetlinkPort } from '../netlink/port.ts';
import { KernelWireguard } from '../netlink/wireguard.ts';
import { syncDevice, type WireguardBackend } from './backend.ts';
import { explainRefusal } from './refusal.ts';

/** The kind of a WireGuard link. */
export const WIREGUARD_KIND = 'wireguard';
export const RIGHT_NEEDED = 'root or CAP_NET_ADMIN is needed';

/**
 * Reads and changes devices of the kernel's own WireGuard, over netlink. Reading or setting one
 * needs CAP_NET_ADMIN, listing does not. No socket is opened and no module is loaded before a
 * caller names a device.
 */
export class KernelBackend implements WireguardBackend {
  /** Always `kernel`. */
  readonly kind = 'kernel';
  readonly #port: NetlinkPort;
  #network: Network | undefined;
  #wireguard: Promise<KernelWireguard | undefined> | undefined;

  /**
   * Makes a backend that opens netlink when it is first needed.
   * @param port where netlink sockets come from: `systemNetlink` on a real machine
   */
  constructor(port: NetlinkPort) {
    this.#port = port;
  }

  async list(): Promise<string[]> {
    const links = await this.#links().list();
    return links.filter(({ kind }) => kind === WIREGUARD_KIND).map(({ name }) => name);
  }

  async get(name: string): Promise<DeviceStatus> {
    const wireguard = await this.#open(name);
    return explained(wireguard.get(name));
  }

  async set(name: string, config: DeviceConfig, known?: DeviceStatus): Promise<void> {
    const wireguard = await this.#open(name);
    return explained(explainRefusal(name, config, wireguard.set(name, config, known)));
  }

  /**
   * Makes the device equal to a whole configuration. A prefix that stays has an owner at every
   * moment: the kernel sends packets while it is being configured.
   * @returns the changes that were applied
   */
  sync(name: string, wanted: DeviceConfig): Promise<DeviceConfig> {
    return syncDevice(this, name, wanted, true);
  }

  async counters(): Promise<undefined> {}

  close(): void {
    this.#network?.close();
    // if it failed to open, its caller has already received the error
    this.#wireguard?.then(
      wireguard => wireguard?.close(),
      () => {},
    );
  }

  #links(): Network['links'] {
    this.#network ??= new Network(this.#port);
    return this.#network.links;
  }

  async #open(name: string): Promise<KernelWireguard> {
    checkInterfaceName(name);
    const link = await this.#links().find(name);
    if (!link) throw codedError('ENODEV', `there is no interface \`${name}'`);
    if (link.kind !== WIREGUARD_KIND)
      throw codedError(
        'EOPNOTSUPP',
        `${name} is not a WireGuard interface${link.kind ? `: it is a link of kind ${link.kind}` : ''}`,
      );
    this.#wireguard ??= KernelWireguard.open(this.#port);
    const wireguard = await this.#wireguard;
    if (!wireguard)
      throw codedError('EOPNOTSUPP', `${name}: the kernel has the link, but no netlink family to configure it`);
    return wireguard;
  }
}

async function explained<T>(result: Promise<T>): Promise<T> {
  try {
    return await result;
  } catch (error) {
    if (isRefusal(error, 'EPERM', 'EACCES'))
      throw new NetlinkError(error.attempted, error.errno, { offset: error.offset, detail: RIGHT_NEEDED });
    throw error;
  }
}
