/**
 * Finds by trial what this machine can do for a tunnel, for `wgts doctor`. Opening a TUN needs root
 * and creates an interface for an instant. Without root, the TUN's offloads stay unknown.
 */
import { existsSync, readFileSync } from 'node:fs';
import { release } from 'node:os';
import { dirname } from 'node:path';
import { nativeBinding } from '../io/native-binding.ts';
import type { CipherProvider } from '../io/native-cipher.ts';
import { type RunningDevice, runningDevices, socketNames } from '../io/running-devices.ts';
import { canFilterCalls } from '../io/sandbox.ts';
import { openTun } from '../io/tun.ts';
import { openNativeUdp } from '../io/udp.ts';
import { runningKernel } from './known-kernels.ts';
import { processors } from './processors.ts';
import { uapiSocketPath } from './uapi-socket.ts';

/** A value, or the reason why it is unknown. */
export type Known<T> = { readonly value: T } | { readonly problem: string };

export interface Capabilities {
  readonly node: string;
  readonly openssl: string;
  readonly kernel: string;
  /**
   * The kernel's other version texts (KernelNames), for distributions whose release name lacks the
   * exact version.
   */
  readonly kernelVersion?: string;
  readonly kernelSignature?: string;
  /** Whether this machine has WireGuard in its kernel, loaded or as a module file. */
  readonly kernelModule: boolean;
  /** Whether /dev/net/tun exists. */
  readonly tunDevice: boolean;
  /** Why the addon is not available; empty if it is. */
  readonly addonProblem: string;
  readonly aead: readonly CipherProvider[];
  readonly tunOffloads: Known<readonly string[]>;
  readonly udpOffloads: Known<readonly string[]>;
  /** Largest UDP socket buffer in bytes without a privilege (net.core.rmem_max). */
  readonly largestBuffer: number;
  readonly root: boolean;
  /** Processors that this process may keep busy; with a fraction where a cgroup has a quota. */
  readonly processors: number;
  /** Whether the kernel can filter the system calls of a device (seccomp). */
  readonly filtersCalls: boolean;
  /** The devices that run now, and what their processes may do. */
  readonly running: readonly RunningDevice[];
}

export function capabilities(): Capabilities {
  const addon = attempt(nativeBinding);
  const binding = 'value' in addon ? addon.value : undefined;
  const kernel = runningKernel();
  const missing = { problem: 'the addon is missing' };
  return {
    node: process.versions.node,
    openssl: process.versions.openssl,
    kernel: kernel.release,
    kernelVersion: kernel.version ?? '',
    kernelSignature: kernel.signature ?? '',
    kernelModule: existsSync('/sys/module/wireguard') || hasModuleFile(),
    tunDevice: existsSync('/dev/net/tun'),
    addonProblem: 'problem' in addon ? addon.problem : '',
    aead: binding?.cipherProviders() ?? [],
    tunOffloads: binding
      ? attempt(() => {
          const tun = openTun({ binding, name: 'wgts-doctor%d', mtu: 0 });
          tun.close();
          return tun.offloads;
        })
      : missing,
    udpOffloads: binding
      ? attempt(() => {
          const udp = openNativeUdp(binding, 0, 0);
          const { offloads } = udp;
          udp.close();
          return offloads;
        })
      : missing,
    largestBuffer: Number(read('/proc/sys/net/core/rmem_max') || 0),
    root: process.getuid?.() === 0,
    processors: processors(),
    filtersCalls: canFilterCalls(),
    running: runningDevices(socketNames(dirname(uapiSocketPath('any')))),
  };
}

function attempt<T>(get: () => T): Known<T> {
  try {
    return { value: get() };
  } catch (error) {
    return { problem: (error as Error).message };
  }
}

function hasModuleFile(): boolean {
  return (
    /\/wireguard\.ko/.test(read(`/lib/modules/${release()}/modules.dep`)) ||
    /\/wireguard\.ko/.test(read(`/lib/modules/${release()}/modules.builtin`))
  );
}

function read(path: string): string {
  try {
    return readFileSync(path, 'utf8');
  } catch {
    return '';
  }
}
