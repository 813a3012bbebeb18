/**
 * WireGuard interfaces of this machine, for src/quick. Interfaces of the kernel are reached over
 * netlink, userspace ones (this project's and others) over their control sockets. Only `choose`
 * decides the kind of a new device.
 */
import { existsSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';
import type { WireguardBackend } from '../backend/backend.ts';
import { type BackendChoice, hasFamily } from '../backend/choose.ts';
import { KernelBackend, WIREGUARD_KIND } from '../backend/kernel.ts';
import { portInUse } from '../backend/refusal.ts';
import { UserspaceBackend } from '../backend/userspace.ts';
import { type DeviceConfig, type DeviceStatus, eraseStatus } from '../config/model.ts';
import { NEEDS_PARENT_VARIABLE, startInBackground } from '../daemon/background.ts';
import { handOverCode } from '../daemon/hand-over-error.ts';
import { socketState } from '../daemon/uapi-client.ts';
import { uapiSocketPath } from '../daemon/uapi-socket.ts';
import type { Network } from '../netlink/network.ts';
import type { NetlinkPort } from '../netlink/port.ts';
import type { QuickDevices } from '../quick/ports.ts';
import { problem } from '../quick/problem.ts';
import type { DeviceKind } from '../quick/state.ts';

export interface SystemDevicesOptions {
  readonly port: NetlinkPort;
  readonly network: Network;
  readonly backend: BackendChoice;
  /** Whether a userspace device writes its messages to our output. */
  readonly keepOutput: boolean;
}

const END_TIMEOUT_MS = 5_000;
const POLL_INTERVAL_MS = 20;
const ATTEMPTS = 3;
/**
 * Error codes for a device whose control socket is dead, or whose process ends during the answer.
 */
const SILENT = new Set(['ENODEV', 'ENOENT', 'EOPNOTSUPP', 'ETIMEDOUT', 'ECONNRESET', 'EPIPE', 'incomplete']);

export class SystemDevices implements QuickDevices {
  readonly #options: SystemDevicesOptions;
  readonly #kernel: KernelBackend;
  readonly #userspace = new UserspaceBackend();

  constructor(options: SystemDevicesOptions) {
    this.#options = options;
    this.#kernel = new KernelBackend(options.port);
  }

  async choose(): Promise<DeviceKind> {
    const { backend } = this.#options;
    if (backend !== 'auto' && backend !== 'kernel') return 'userspace';
    if (await hasFamily(this.#options.port)) return 'kernel';
    if (backend === 'auto') return 'userspace';
    throw problem(
      'EOPNOTSUPP',
      'backend kernel: this kernel has no WireGuard (load it with modprobe wireguard, or run Linux 5.6 or newer); --backend=auto uses userspace instead',
    );
  }

  async create(name: string, kind: DeviceKind): Promise<void> {
    if (kind === 'kernel') {
      await this.#options.network.links.create({ name, kind: WIREGUARD_KIND });
      return;
    }
    for (let attempt = 1; ; attempt++)
      try {
        await this.#start(name);
        return;
      } catch (error) {
        // the device of an earlier `up` that was killed may still be ending
        if (attempt === ATTEMPTS) throw problem('EDEVICE', `${name} cannot be started: ${(error as Error).message}`);
        await sleep(END_TIMEOUT_MS / 10);
      }
  }

  /**
   * Starts a process of this program that takes the device over from the one that runs it, with its
   * sessions.
   * @returns false if no process can be taken over from: none runs the device, or one of a version
   * that cannot hand it over
   * @throws Error with the reason if the device stays with the old process
   */
  async takeOver(name: string): Promise<boolean> {
    try {
      await this.#start(name, '--take-over');
      return true;
    } catch (error) {
      const { message } = error as Error;
      if (handOverCode(message) === 'ENOOWNER') return false;
      throw problem('EDEVICE', `${name} cannot be taken over: ${message}`);
    }
  }

  async status(name: string): Promise<DeviceStatus | undefined> {
    try {
      return await (await this.#of(name)).get(name);
    } catch (error) {
      if (SILENT.has((error as NodeJS.ErrnoException).code ?? '')) return undefined;
      throw error;
    }
  }

  async configure(name: string, config: DeviceConfig): Promise<void> {
    await (await this.#of(name)).set(name, config);
  }

  /**
   * Confirms that a userspace device has opened its port. A kernel device needs no check, because
   * it does not come up without its port.
   */
  async confirmPort(name: string): Promise<void> {
    const backend = await this.#of(name);
    if (backend.kind === 'kernel') return;
    const status = await backend.get(name);
    eraseStatus(status);
    // setting the current port opens it if it is closed; port 0 means that no port is set yet
    await backend.set(name, { listenPort: status.listenPort });
  }

  async portInUse(name: string): Promise<Error> {
    const status = await (await this.#of(name)).get(name);
    eraseStatus(status);
    return portInUse(name, status.listenPort);
  }

  async gone(name: string): Promise<void> {
    await this.removeStaleSocket(name);
    const path = uapiSocketPath(name);
    const end = performance.now() + END_TIMEOUT_MS;
    while (existsSync(path)) {
      if (performance.now() > end) throw problem('EDEVICE', `${name} was removed, but its process still holds ${path}`);
      await sleep(POLL_INTERVAL_MS);
    }
  }

  async removeStaleSocket(name: string): Promise<void> {
    // As `wg` does, this removes a socket that no process answers.
    await socketState(name);
  }

  /** Idempotent. */
  close(): void {
    this.#kernel.close();
    this.#userspace.close();
  }

  #start(name: string, ...options: readonly string[]): Promise<void> {
    const { backend, keepOutput } = this.#options;
    const named = backend === 'native' || backend === 'pure' ? [`--backend=${backend}`] : [];
    const env = { [NEEDS_PARENT_VARIABLE]: '1' };
    const args = [...named, ...options, '--persist', name];
    return startInBackground({ name, args, keepOutput, tunFd: undefined, uapiFd: undefined, env });
  }

  /**
   * Chooses the backend by the link in this namespace. The link decides because other namespaces
   * share the folder of control sockets and may have an interface of the same name.
   */
  async #of(name: string): Promise<WireguardBackend> {
    const link = await this.#options.network.links.find(name);
    return link?.kind === WIREGUARD_KIND ? this.#kernel : this.#userspace;
  }
}

/** A variant for long-lived programs: remembers each status until its reader erases it. */
export class QuickSystemDevices extends SystemDevices {
  readonly #given = new Set<DeviceStatus>();

  override async status(name: string): Promise<DeviceStatus | undefined> {
    const status = await super.status(name);
    if (status) this.#given.add(status);
    return status;
  }

  /** Overwrites the secrets of one status, or of all statuses that were returned. */
  eraseSecrets(status?: DeviceStatus): void {
    for (const each of status ? [status] : this.#given) {
      eraseStatus(each);
      this.#given.delete(each);
    }
  }
}
