/** What the control socket configures and asks. */
import type { DeviceConfig, DeviceStatus } from '../config/model.ts';

export interface UapiDevice {
  /** @throws Error with a system `code` when something is refused; then nothing has changed */
  configure(config: DeviceConfig): void;
  /** The secrets in it are copies, which the caller overwrites (eraseStatus). */
  status(): DeviceStatus;
  counters(): Record<string, number>;
}
