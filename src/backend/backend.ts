/**
 * One interface to WireGuard devices, whoever runs them: the kernel (kernel.ts), any userspace program behind a control socket (userspace.ts),
 * an engine in this very process (engine.ts), or whoever has the name, as `wg` finds out (system.ts). All speak the model of src/config.
 * Making and removing interfaces is not here: see take.ts and src/netlink.
 */
import { difference } from '../config/diff.ts';
import type { DeviceConfig, DeviceStatus } from '../config/model.ts';

export type BackendKind = 'kernel' | 'userspace' | 'engine' | 'system';

export interface WireguardBackend {
  readonly kind: BackendKind;

  /** Names of all devices, in the order of `wg show interfaces`. */
  list(): Promise<string[]>;

  /** @throws Error with `code`: ENODEV if there is no such interface, EPERM or EACCES without the right, ... */
  get(name: string): Promise<DeviceStatus>;

  /**
   * Sets what the config says and leaves alone what it does not say.
   * @param known what was just read of the device, where it was: spares some backends reading it again
   * @throws Error with `code`, or ConfigError `refused`
   */
  set(name: string, config: DeviceConfig, known?: DeviceStatus): Promise<void>;

  /**
   * Makes the device be as a whole file has it, saying only what differs (config/diff.ts).
   * @returns what was said
   */
  sync(name: string, wanted: DeviceConfig): Promise<DeviceConfig>;

  /** What is counted beyond the status, by name: drops and their reasons. undefined where nobody counts. */
  counters(name: string): Promise<Record<string, number> | undefined>;

  /** Idempotent. What is under way is rejected. */
  close(): void;
}

/** What every backend's `sync` is. @param removals whether single allowed IPs are to be taken away, rather than lists filled anew */
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
