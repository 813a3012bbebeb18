/**
 * Confines the process of a device once it is set up: what the device's loop does not need, an
 * attacker who runs code in it must not have. A step that this machine does not allow is skipped
 * and logged, because the tunnel matters more.
 */
import { describeRights, readRights } from '../io/process-rights.ts';
import { CAP_NET_ADMIN, CAP_NET_BIND_SERVICE, CAP_SYS_ADMIN, dropPrivileges, installSandbox } from '../io/sandbox.ts';
import type { Log } from './log.ts';

/**
 * `netns` is `on` for a device whose interface is moved to another network namespace: to see its
 * MTU there, and to keep it silent, the process must enter that namespace (native/tun-status.c).
 */
export const SANDBOX_SETTINGS = ['on', 'netns', 'off'] as const;
export type SandboxSetting = (typeof SANDBOX_SETTINGS)[number];

/**
 * Capabilities that a running device uses. CAP_NET_ADMIN: SO_MARK and large socket buffers
 * (SO_RCVBUFFORCE) at each new port, the TUN's ioctls, netlink requests that change the link.
 * CAP_NET_BIND_SERVICE: a new port below 1024.
 */
const KEPT = [CAP_NET_ADMIN, CAP_NET_BIND_SERVICE];

/**
 * Gives up all rights that a running device does not use, for ever. Logs what is in force.
 * @param isVerbose whether the kernel logs refused system calls too
 */
export function confine(setting: SandboxSetting, log: Log, isVerbose: boolean): void {
  if (setting === 'off') {
    log.notice?.('not confined, as requested (WGTS_SANDBOX=off or --no-sandbox)');
    return;
  }
  const netns = setting === 'netns';
  attempt('capabilities cannot be given up', log, () => dropPrivileges(netns ? [...KEPT, CAP_SYS_ADMIN] : KEPT));
  attempt('no filter of system calls', log, () => installSandbox({ netns, log: isVerbose }));
  const rights = readRights('self');
  if (rights) log.notice?.(`confined: ${describeRights(rights)}`);
}

function attempt(failure: string, log: Log, step: () => void): void {
  try {
    step();
  } catch (error) {
    log.error(`${failure} here, so the device runs without: ${(error as Error).message}`);
  }
}
