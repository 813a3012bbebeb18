/** What `wireguard-ts NAME` was asked for, by options and environment. */
import type { UserspaceName } from './backend.ts';
import type { SandboxSetting } from './confine.ts';
import type { KernelFault } from './known-kernels.ts';
import type { LogLevel } from './log.ts';
import type { TakenLog } from './log-sink.ts';
import type { OffloadSwitch } from './offload-switches.ts';

/** The variables that settings come from. A new process of the same device needs the same. */
export const DEVICE_VARIABLES = [
  'LOG_LEVEL',
  'WG_KEYLOGFILE',
  'WGTS_AEAD',
  'WGTS_BACKEND',
  'WGTS_LOG',
  'WGTS_NO_OFFLOAD',
  'WGTS_PERSIST',
  'WGTS_SANDBOX',
  'WGTS_SHARE',
  'WGTS_THREADS',
] as const;
/** Variables that belong to one start alone. */
export const START_VARIABLES = ['WG_PROCESS_FOREGROUND', 'WG_TUN_FD', 'WG_UAPI_FD'] as const;

export interface DeviceSettings {
  readonly name: string;
  readonly backend: UserspaceName;
  /** An AEAD provider of the addon by name; default: the fastest. */
  readonly aead?: string;
  /** The most threads that share the device's work; default: one per processor (processors.ts). */
  readonly threads?: number;
  /** Whether these threads get all the work, for tests; default: when a core is full. */
  readonly shareAlways?: boolean;
  readonly offloadsOff: ReadonlySet<OffloadSwitch>;
  /**
   * Faults of this kernel (known-kernels.ts). The device avoids the affected offloads and logs
   * that.
   */
  readonly kernelFaults?: readonly KernelFault[];
  readonly logLevel: LogLevel;
  /** Inherited descriptors: an open TUN device, a listening control socket. */
  readonly tunFd?: number;
  readonly uapiFd?: number;
  readonly keyLogFile?: string;
  /** Whether the link, with its addresses and routes, stays if this process is killed. */
  readonly persist?: boolean;
  /** The log of a device in the background. */
  readonly log?: TakenLog;
  /** Whether to take the device over from the process that runs it, instead of making one. */
  readonly takesOver?: boolean;
  /** What the process gives up once the device runs (confine.ts). Default: `on`. */
  readonly sandbox?: SandboxSetting;
}
