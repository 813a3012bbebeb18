/**
 * All devices of this machine (more exactly, of this network namespace and this
 * /var/run/wireguard), as `wg` sees them (wireguard-tools ipc.c). A name whose control socket
 * answers belongs to a userspace program, any other name to the kernel.
 */
import { codedError } from '../base/coded-error.ts';
import type { DeviceConfig, DeviceStatus } from '../config/model.ts';
import type { Zones } from '../config/zones.ts';
import { socketState } from '../daemon/uapi-client.ts';
import { uapiSocketPath } from '../daemon/uapi-socket.ts';
import { systemNetlink } from '../io/netlink.ts';
import type { NetlinkPort } from '../netlink/port.ts';
import type { WireguardBackend } from './backend.ts';
import type { KernelBackend } from './kernel.ts';
import { UserspaceBackend } from './userspace.ts';

/**
 * Reads and changes every WireGuard device of this machine (of this network namespace and this
 * /var/run/wireguard), as `wg` does (wireguard-tools ipc.c). A name whose control socket answers
 * belongs to a userspace program, any other to the kernel. Needs root for most calls.
 */
export class SystemBackend implements WireguardBackend {
  /** Always `system`. */
  readonly kind = 'system';
  readonly #port: NetlinkPort;
  readonly #userspace: WireguardBackend;
  #kernel: Promise<KernelBackend> | undefined;

  /**
   * Makes a backend that opens sockets when they are first needed.
   * @param port where netlink sockets come from; default: this machine's
   * @param zones names of interfaces, for IPv6 zones; default: this machine's
   */
  constructor(port: NetlinkPort = systemNetlink, zones?: Zones) {
    this.#port = port;
    this.#userspace = new UserspaceBackend(zones);
  }

  /**
   * Returns the names of all devices, the kernel's first. If netlink is not available (no addon, a
   * sandbox), lists only the others.
   */
  async list(): Promise<string[]> {
    const [kernel, userspace] = await Promise.all([this.#kernelNames(), this.#userspace.list()]);
    return [...kernel, ...userspace.filter(name => !kernel.includes(name))];
  }

  /**
   * Returns the backend that owns a name: userspace where its control socket answers, the kernel
   * otherwise.
   */
  async of(name: string): Promise<WireguardBackend> {
    return (await socketState(name)) === 'answers' ? this.#userspace : this.#openKernel();
  }

  get(name: string): Promise<DeviceStatus> {
    return this.#use(name, backend => backend.get(name));
  }

  set(name: string, config: DeviceConfig, known?: DeviceStatus): Promise<void> {
    return this.#use(name, backend => backend.set(name, config, known));
  }

  sync(name: string, wanted: DeviceConfig): Promise<DeviceConfig> {
    return this.#use(name, backend => backend.sync(name, wanted));
  }

  counters(name: string): Promise<Record<string, number> | undefined> {
    return this.#use(name, backend => backend.counters(name));
  }

  close(): void {
    this.#kernel?.then(kernel => kernel.close());
    this.#userspace.close();
  }

  async #kernelNames(): Promise<string[]> {
    const kernel = await this.#openKernel();
    return kernel.list().catch(() => []);
  }

  /**
   * Opens the kernel backend, and loads its code at first use: a short command spends most of its
   * time loading.
   */
  #openKernel(): Promise<KernelBackend> {
    this.#kernel ??= import('./kernel.ts').then(({ KernelBackend }) => new KernelBackend(this.#port));
    return this.#kernel;
  }

  /**
   * Calls the backend that owns a device. If the name has no owner, the error mentions both places.
   */
  async #use<T>(name: string, call: (backend: WireguardBackend) => Promise<T>): Promise<T> {
    const socket = await socketState(name);
    if (socket === 'answers') return call(this.#userspace);
    try {
      return await call(await this.#openKernel());
    } catch (error) {
      const { code, message } = error as NodeJS.ErrnoException;
      if (code !== 'ENODEV' && code !== 'EOPNOTSUPP') throw error;
      const path = uapiSocketPath(name);
      const { isOrphanHere, orphanText } = await import('./orphan.ts');
      if (await isOrphanHere(name, this.#port)) throw codedError('ENODEV', orphanText(name));
      const more =
        socket === 'stale'
          ? `; the program behind ${path} is gone, start it again with: wireguard-ts ${name}`
          : ` (nor is there ${path})`;
      throw Object.assign(new Error(`${message}${more}`, { cause: error }), { code });
    }
  }
}
