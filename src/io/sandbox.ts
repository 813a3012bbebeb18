/**
 * Gives up rights of this process for ever, in all its threads: capabilities and no_new_privs
 * (native/privileges.c), and a filter of system calls (native/sandbox.c).
 */
import { readdirSync, readFileSync, readlinkSync } from 'node:fs';
import { nativeBinding } from './native-binding.ts';

/** Capabilities by number (linux/capability.h). */
export const CAP_NET_BIND_SERVICE = 10;
export const CAP_NET_ADMIN = 12;
export const CAP_SYS_ADMIN = 21;

/** Options of the filter; the same bits as in native/sandbox.c. */
const NETNS = 1;
const RING = 2;
const LOG = 4;

export interface SandboxOptions {
  /** Allow entering other network namespaces, which also needs CAP_SYS_ADMIN. */
  readonly netns: boolean;
  /** Let the kernel log refused calls. */
  readonly log: boolean;
}

/**
 * Keeps only these capabilities, as far as the process has them, and sets no_new_privs.
 * @throws Error that says what is still in force
 */
export function dropPrivileges(keep: readonly number[]): void {
  const left = nativeBinding().dropPrivileges(keep.reduce((mask, capability) => mask | (1 << capability), 0) >>> 0);
  if (left < 0) throw new Error('the threads of this process cannot be listed in /proc');
  if (left > 0) throw new Error(`${left} threads of this process still have more capabilities`);
}

/**
 * Installs the filter. Call dropPrivileges first: the kernel requires no_new_privs.
 * @throws Error with `code` if the kernel refuses
 */
export function installSandbox(options: SandboxOptions): void {
  nativeBinding().sandboxInstall(optionBits(options, hasRing()));
}

/** Reports whether this kernel has filters of system calls that fail with an errno. */
export function canFilterCalls(): boolean {
  try {
    return readFileSync('/proc/sys/kernel/seccomp/actions_avail', 'latin1').split(/\s/).includes('errno');
  } catch {
    return false;
  }
}

/** Returns the filter's program, 8 bytes an instruction (linux/filter.h, struct sock_filter). */
export function sandboxProgram(options: SandboxOptions & { readonly ring: boolean }): Uint8Array {
  return nativeBinding().sandboxProgram(optionBits(options, options.ring));
}

function optionBits({ netns, log }: SandboxOptions, ring: boolean): number {
  return (netns ? NETNS : 0) | (ring ? RING : 0) | (log ? LOG : 0);
}

/**
 * Reports whether libuv has made a ring (io_uring) before. It ends the process if a call on its
 * ring fails.
 */
function hasRing(): boolean {
  return readdirSync('/proc/self/fd').some(fd => {
    try {
      return readlinkSync(`/proc/self/fd/${fd}`) === 'anon_inode:[io_uring]';
    } catch {
      // the descriptor that lists the folder is closed
      return false;
    }
  });
}
