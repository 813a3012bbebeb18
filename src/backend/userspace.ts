/**
 * Devices of userspace programs, including wireguard-go, by their control sockets. Each call opens
 * a connection.
 */
import type { DeviceConfig, DeviceStatus } from '../config/model.ts';
import type { Zones } from '../config/zones.ts';
import { listInterfaces, UapiClient } from '../daemon/uapi-client.ts';
import { systemZones } from '../io/zones.ts';
import { syncDevice, type WireguardBackend } from './backend.ts';
import { explainRefusal } from './refusal.ts';

/**
 * Reads and changes devices of userspace programs, including wireguard-go, by their control
 * sockets. Each call opens a connection.
 */
export class UserspaceBackend implements WireguardBackend {
  /** Always `userspace`. */
  readonly kind = 'userspace';
  readonly #zones: Zones;

  /**
   * Makes a backend that holds no connection.
   * @param zones names of interfaces, for IPv6 zones; default: this machine's
   */
  constructor(zones: Zones = systemZones) {
    this.#zones = zones;
  }

  list(): Promise<string[]> {
    return listInterfaces();
  }

  get(name: string): Promise<DeviceStatus> {
    return this.#client(name).get();
  }

  set(name: string, config: DeviceConfig): Promise<void> {
    return explainRefusal(name, config, this.#client(name).set(config));
  }

  /**
   * Makes the device equal to a whole configuration. Lists of allowed IPs that differ are emptied
   * and filled again, since not every program can remove a single allowed IP.
   * @returns the changes that were applied
   */
  sync(name: string, wanted: DeviceConfig): Promise<DeviceConfig> {
    return syncDevice(this, name, wanted, false);
  }

  counters(name: string): Promise<Record<string, number> | undefined> {
    return this.#client(name).counters();
  }

  close(): void {}

  #client(name: string): UapiClient {
    return new UapiClient(name, this.#zones);
  }
}
