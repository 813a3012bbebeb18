/**
 * Definitions that the server, the connections and the clients of the control socket share: its
 * path, the device behind it, and errno numbers.
 */
import { constants } from 'node:os';
import { basename, dirname, join } from 'node:path';
import type { DeviceConfig, DeviceStatus } from '../config/model.ts';

const HAND_OVER_FOLDER = 'handover';

/**
 * A device in this process, such as a {@link DeviceLoop}, that a control socket or an {@link
 * EngineBackend} configures and reads.
 */
export interface UapiDevice {
  /**
   * Applies a configuration as a whole or not at all.
   * @throws Error with a system `code` when something is refused; then nothing has changed
   */
  configure(config: DeviceConfig): void;
  /** Returns the device's status. The secrets in it are copies, which the caller overwrites. */
  status(): DeviceStatus;
  /** Returns every counter by name. */
  counters(): Record<string, number>;
}

/** Returns the path at which `wg` looks for the control socket of an interface. */
export function uapiSocketPath(name: string): string {
  return `/var/run/wireguard/${name}.sock`;
}

/**
 * Returns the path of the hand-over socket that belongs to a control socket. It has a folder of its
 * own, because wgctrl takes every socket in the folder of control sockets for a device.
 */
export function handOverPath(controlPath: string): string {
  return join(dirname(controlPath), HAND_OVER_FOLDER, basename(controlPath, '.sock'));
}

/**
 * Returns the number for a system error's code, positive as in errno.h; undefined for any other
 * error.
 */
export function systemErrno(error: unknown): number | undefined {
  const code = (error as { code?: unknown }).code;
  if (typeof code !== 'string') return undefined;
  return (constants.errno as Readonly<Record<string, number>>)[code];
}
