/**
 * The ports through which src/quick uses the machine, besides netlink: devices, programs, files.
 * src/host has the adapters.
 */
import type { DeviceConfig, DeviceStatus } from '../config/model.ts';
import type { Zones } from '../config/zones.ts';
import type { Network } from '../netlink/network.ts';
import type { QuickFile } from './file.ts';
import type { FirewallPlan } from './firewall.ts';
import type { DeviceKind, QuickState } from './state.ts';

/** A WireGuard interface by name, independent of its implementation. */
export interface QuickDevices {
  /**
   * Chooses the kind of a new device.
   * @throws Error that names the remedy if the requested kind is not available
   */
  choose(): Promise<DeviceKind>;
  /**
   * Creates the device and waits until it can be configured. A device of this kind that is still
   * being created counts as present.
   */
  create(name: string, kind: DeviceKind): Promise<void>;
  /** Returns undefined if the interface is not WireGuard or its process does not answer. */
  status(name: string): Promise<DeviceStatus | undefined>;
  configure(name: string, config: DeviceConfig): Promise<void>;
  /**
   * Confirms that an interface that was just brought up listens on its port.
   * @throws Error with `code` EADDRINUSE that names the port and its holder; otherwise the device's
   * error
   */
  confirmPort(name: string): Promise<void>;
  /** Returns the error for a kernel device that did not come up because its port is in use. */
  portInUse(name: string): Promise<Error>;
  /**
   * Resolves when the device is completely gone, so that a new one can be made. The caller removes
   * the link over netlink first.
   */
  gone(name: string): Promise<void>;
  /** Removes the control socket of a process that died. Leaves any other. */
  removeStaleSocket(name: string): Promise<void>;
}

/** The environment variables of a hook. */
export interface HookContext {
  /** Name of the interface: INTERFACE. */
  readonly name: string;
  /** Absolute path of the configuration file: CONFIG_FILE. */
  readonly file: string;
}

export interface QuickHost {
  readonly network: Network;
  readonly devices: QuickDevices;
  /**
   * Runs a command of the file. The command writes to our output.
   * @throws Error with its exit status
   */
  runHook(command: string, context: HookContext): Promise<void>;
  /**
   * @throws Error if this machine has no program that sets DNS servers, or if that program fails
   */
  setDns(name: string, servers: readonly string[], search: readonly string[]): Promise<void>;
  /** Idempotent. */
  unsetDns(name: string): Promise<void>;
  setFirewall(plan: FirewallPlan): Promise<void>;
  /** Idempotent. */
  removeFirewall(name: string): Promise<void>;
  /** Returns undefined if the kernel lacks the setting. */
  readMarkValid(): string | undefined;
  writeMarkValid(value: string): void;
  /**
   * @param path the path below /proc/sys: `net/ipv4/conf/all/rp_filter`
   * @returns undefined if the setting does not exist
   */
  readSysctl(path: string): string | undefined;
  /**
   * Returns evidence, for people, that Kubernetes' packet marks are or may be in use here. Returns
   * undefined if there is no evidence.
   */
  findKubernetes(): Promise<string | undefined>;
  /** Reads the state of this network namespace. @throws ConfigError if it cannot be parsed */
  readState(name: string): QuickState | undefined;
  /** Writes the state atomically. The state is on disk when this returns. */
  writeState(state: QuickState): void;
  removeState(name: string): void;
  /** Replaces the file atomically. */
  saveFile(path: string, text: string): void;
  /**
   * Stores a configuration that could not be saved. Only its owner can read it. @returns the path
   */
  rescueFile(name: string, text: string): string;
  /** Prints an action for people. */
  say(text: string): void;
  warn(text: string): void;
}

/** An interface that an operation takes down. */
export interface QuickTarget {
  readonly file: QuickFile;
  /** Absolute path of the file. */
  readonly path: string;
  /** A value that changes whenever the content of the file changes. */
  readonly version?: string;
  readonly zones: Zones;
}

/** An interface that an operation brings up or reloads. */
export interface UpTarget extends QuickTarget {
  /** Resolves the endpoint names of the file. Called once, after PreUp. */
  readonly resolve: () => Promise<DeviceConfig>;
  /**
   * Does the same without waiting for a name server. Omits names that cannot be resolved at once.
   */
  readonly resolveNow?: () => Promise<DeviceConfig>;
  /**
   * Returns the file's configuration for an interface whose process died. Names may not be
   * resolvable now, because the tunnel may be the way to their server.
   * @param known the endpoints that the peers had, by key (base64)
   */
  readonly recover?: (known: ReadonlyMap<string, Uint8Array>) => Promise<DeviceConfig>;
  /** Checked before each step. If it returns true, the operation stops and rolls back. */
  readonly interrupted?: () => boolean;
}
