/** What src/quick needs of a machine beside its netlink: devices, programs, files. Adapters are in src/host. */
import type { DeviceConfig, DeviceStatus } from '../config/model.ts';
import type { Network } from '../netlink/network.ts';
import type { FirewallPlan } from './firewall.ts';
import type { BackendKind, QuickState } from './state.ts';

/** A WireGuard interface by its name, whoever runs it. */
export interface QuickDevices {
  /** Which kind a new one would be of. @throws Error that says what to do, where the one that is asked for cannot be had */
  choose(): Promise<BackendKind>;
  /** Makes it, and waits until it can be configured. One of that kind that is just being made is as good. */
  create(name: string, kind: BackendKind): Promise<void>;
  /** undefined where the interface is no WireGuard, or nobody answers for it. */
  status(name: string): Promise<DeviceStatus | undefined>;
  configure(name: string, config: DeviceConfig): Promise<void>;
  /**
   * Confirms that an interface that was just brought up listens on its port.
   * @throws Error with `code` EADDRINUSE that names port and holder; whatever else the device says
   */
  confirmPort(name: string): Promise<void>;
  /** The error for a kernel's device that could not come up for want of its port. */
  portInUse(name: string): Promise<Error>;
  /** Resolves when nothing is left of it, and a new one may be made. It is removed over netlink before. */
  gone(name: string): Promise<void>;
}

/** What a hook gets beside its text. */
export interface HookContext {
  /** Of the interface: INTERFACE. */
  readonly name: string;
  /** The configuration file, absolute: CONFIG_FILE. */
  readonly file: string;
}

export interface QuickHost {
  readonly network: Network;
  readonly devices: QuickDevices;
  /** Runs a command of the file; its output goes where ours goes. @throws Error with its status */
  runHook(command: string, context: HookContext): Promise<void>;
  /** @throws Error if nothing here takes DNS servers, or it fails */
  setDns(name: string, servers: readonly string[], search: readonly string[]): Promise<void>;
  /** Idempotent. */
  unsetDns(name: string): Promise<void>;
  setFirewall(plan: FirewallPlan): Promise<void>;
  /** Idempotent. */
  removeFirewall(name: string): Promise<void>;
  /** undefined if the kernel has no such thing. */
  readMarkValid(): string | undefined;
  writeMarkValid(value: string): void;
  /** @param path below /proc/sys: `net/ipv4/conf/all/rp_filter`. undefined if there is no such thing here. */
  readSysctl(path: string): string | undefined;
  /** A sign, for people, that Kubernetes' packet marks are or may be in force here; undefined without any. */
  findKubernetes(): Promise<string | undefined>;
  /** Of this network namespace. @throws ConfigError for what cannot be read */
  readState(name: string): QuickState | undefined;
  /** On disk, whole, when it returns. */
  writeState(state: QuickState): void;
  removeState(name: string): void;
  /** Puts the file in the place of the old one, whole. */
  saveFile(path: string, text: string): void;
  /** Keeps what could not be saved there, readable by its owner alone. @returns where */
  rescueFile(name: string, text: string): string;
  /** Says what is done. */
  say(text: string): void;
  warn(text: string): void;
}
