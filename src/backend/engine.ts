/**
 * Devices that run in this process, such as a DeviceLoop. The backend calls them directly,
 * without a socket or text. A configuration is applied as a whole or not at all.
 */
import { codedError } from '../base/coded-error.ts';
import type { DeviceConfig, DeviceStatus } from '../config/model.ts';
import type { UapiDevice } from '../daemon/uapi-socket.ts';
import { syncDevice, type WireguardBackend } from './backend.ts';

/**
 * Reads and changes devices of this process, such as {@link DeviceLoop}s, without a socket. A
 * configuration is applied as a whole or not at all.
 */
export class EngineBackend implements WireguardBackend {
  /** Always `engine`. */
  readonly kind = 'engine';
  readonly #devices: ReadonlyMap<string, UapiDevice>;

  /**
   * Makes a backend for the devices in a map. The map may change: every call looks the name up
   * again.
   */
  constructor(devices: ReadonlyMap<string, UapiDevice>) {
    this.#devices = devices;
  }

  async list(): Promise<string[]> {
    return [...this.#devices.keys()];
  }

  async get(name: string): Promise<DeviceStatus> {
    return this.#device(name).status();
  }

  async set(name: string, config: DeviceConfig): Promise<void> {
    this.#device(name).configure(config);
  }

  /**
   * Makes the device equal to a whole configuration. No packet is handled between emptying a list
   * of allowed IPs and filling it.
   * @returns the changes that were applied
   */
  sync(name: string, wanted: DeviceConfig): Promise<DeviceConfig> {
    return syncDevice(this, name, wanted, false);
  }

  async counters(name: string): Promise<Record<string, number>> {
    return this.#device(name).counters();
  }

  close(): void {}

  #device(name: string): UapiDevice {
    const device = this.#devices.get(name);
    if (!device) throw codedError('ENODEV', `there is no device \`${name}' in this process`);
    return device;
  }
}
