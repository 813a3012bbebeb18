/**
 * One interface to WireGuard devices, whatever runs them: the kernel (kernel.ts), a userspace
 * program behind a control socket (userspace.ts), an engine in this process (engine.ts), or
 * whichever of kernel and userspace owns the name, as `wg` finds out (system.ts). All use the model
 * of src/config. choose.ts and src/netlink create and remove interfaces.
 */
import { difference } from '../config/diff.ts';
import type { DeviceConfig, DeviceStatus } from '../config/model.ts';

/**
 * What runs the devices of a {@link WireguardBackend}: the kernel, a userspace program behind a
 * control socket, an engine in this process, or whichever of them has the name.
 */
export type BackendKind = 'kernel' | 'userspace' | 'engine' | 'system';

/**
 * Reads and changes WireGuard devices, whatever runs them, in the terms of {@link DeviceConfig} and
 * {@link DeviceStatus}. It neither creates nor removes interfaces.
 */
export interface WireguardBackend {
  /** What runs these devices. */
  readonly kind: BackendKind;

  /** Returns the names of all devices, in the order of `wg show interfaces`. */
  list(): Promise<string[]>;

  /**
   * Returns the configuration and state of a device. The secrets in it are copies, which the caller
   * overwrites.
   * @throws Error with `code`: ENODEV if there is no such interface, EPERM or EACCES without the
   * right to read it
   */
  get(name: string): Promise<DeviceStatus>;

  /**
   * Applies a configuration: an absent field stays as it is.
   * @param known the status, if the caller has just read it; some backends then do not read it
   * again
   * @throws Error with `code`, or ConfigError `refused`
   */
  set(name: string, config: DeviceConfig, known?: DeviceStatus): Promise<void>;

  /**
   * Makes the device equal to a whole configuration. Sets only what differs, so that sessions live
   * on.
   * @returns the changes that were applied
   */
  sync(name: string, wanted: DeviceConfig): Promise<DeviceConfig>;

  /**
   * Returns counters beyond the status by name: drops and their reasons. undefined if the device
   * has no counters.
   */
  counters(name: string): Promise<Record<string, number> | undefined>;

  /** Releases sockets and rejects calls that are under way. Idempotent. */
  close(): void;
}

/**
 * Implements `sync` for every backend.
 * @param removals true to remove single allowed IPs, false to replace whole lists
 */
export async function syncDevice(
  backend: WireguardBackend,
  name: string,
  wanted: DeviceConfig,
  removals: boolean,
): Promise<DeviceConfig> {
  const status = await backend.get(name);
  const change = difference(wanted, status, removals);
  if (Object.keys(change).length > 0) await backend.set(name, change, status);
  return change;
}
