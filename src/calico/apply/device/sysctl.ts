/**
 * Kernel parameters (docs/reference/calico-felix.md#sysctls), those in /proc/sys and those of a link in /sys: written where they differ, never written back, as Felix
 * does.
 */
import { readFileSync, writeFileSync } from 'node:fs';
import { codedError } from '../../../base/coded-error.ts';
import type { DesiredTunnel } from '../../model/desired.ts';
import type { Sysctls, Work } from '../ports.ts';

export const SOURCE_VALID_MARK = 'net/ipv4/conf/all/src_valid_mark';
const OF_LINKS = 'class/net/';

/** Of this network namespace. */
export const systemSysctls: Sysctls = {
  get(name) {
    try {
      return readFileSync(fileOf(name), 'utf8').trim();
    } catch {
      return undefined;
    }
  },
  set: (name, value) => writeFileSync(fileOf(name), value),
};

/** Host encryption of IPv4 alone: what came in marked is looked up with its mark, also for the check of its source. */
export function ensureSysctls({ host, change }: Work, { family, firewall }: DesiredTunnel): void {
  if (family !== 4 || !firewall.incomingMark) return;
  const value = host.sysctls.get(SOURCE_VALID_MARK);
  if (value === '1') return;
  if (value === undefined)
    throw codedError('ENOENT', `this kernel has no ${SOURCE_VALID_MARK}: host encryption cannot be had here`);
  change(`sysctl ${SOURCE_VALID_MARK}: 1`);
  host.sysctls.set(SOURCE_VALID_MARK, '1');
}

/** Of the kernel's device alone: a TUN has no NAPI. Without it the tunnel works as well, so that a failure is but told. */
export function ensureThreading({ host, change }: Work, { interfaceName, threaded }: DesiredTunnel): void {
  const name = `${OF_LINKS}${interfaceName}/threaded`;
  const value = host.sysctls.get(name);
  const wanted = threaded ? '1' : '0';
  // before Linux 5.12 there is no such thing
  if (value === wanted || (value === undefined && !threaded)) return;
  try {
    if (value === undefined) throw codedError('ENOENT', 'this kernel has no such thing');
    change(`threads of ${interfaceName}: ${wanted}`);
    host.sysctls.set(name, wanted);
  } catch (error) {
    host.warn(`wireguardThreadingEnabled: ${threaded} has no effect on ${interfaceName}: ${(error as Error).message}`);
  }
}

function fileOf(name: string): string {
  return `${name.startsWith(OF_LINKS) ? '/sys' : '/proc/sys'}/${name}`;
}
