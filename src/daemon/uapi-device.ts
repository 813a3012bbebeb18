/** What the control socket configures and asks. */
import type { DeviceConfig, DeviceStatus } from '../config/model.ts';

/**
 * A device in this process, such as a {@link DeviceLoop}, that a control socket or an {@link
 * EngineBackend} configures and reads.
 */
export interface UapiDevice {
  /**
   * Applies a configuration, all of it or nothing.
   * @throws Error with a system `code` when something is refused; then nothing has changed
   */
  configure(config: DeviceConfig): void;
  /** Returns the device's status. The secrets in it are copies, which the caller overwrites. */
  status(): DeviceStatus;
  /** Returns every counter by name. */
  counters(): Record<string, number>;
}
