/**
 * Sets kernel parameters (docs/reference/calico-felix.md#sysctls) in /proc/sys, or in /sys for a
 * link. A parameter is written only if it differs and, as in Felix, never restored.
 */
import { readFileSync, writeFileSync } from 'node:fs';
import { codedError } from '../../../base/coded-error.ts';
import type { DesiredTunnel } from '../../model/desired.ts';
import type { ApplyContext, Sysctls } from '../ports.ts';

const SOURCE_VALID_MARK = 'net/ipv4/conf/all/src_valid_mark';
const LINK_PREFIX = 'class/net/';

/** The parameters of this network namespace. */
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

/**
 * For host encryption of IPv4: makes the kernel consider a packet's mark when it validates the
 * packet's source address.
 */
export function ensureSysctls({ host, recordChange }: ApplyContext, { family, firewall }: DesiredTunnel): void {
  if (family !== 4 || !firewall.incomingMark) return;
  const value = host.sysctls.get(SOURCE_VALID_MARK);
  if (value === '1') return;
  if (value === undefined)
    throw codedError(
      'ENOENT',
      `this kernel has no ${SOURCE_VALID_MARK}, so host encryption is not possible on this node`,
    );
  recordChange(`sysctl ${SOURCE_VALID_MARK}: 1`);
  host.sysctls.set(SOURCE_VALID_MARK, '1');
}

/**
 * Sets the threading of the kernel's device; a TUN has no NAPI. The tunnel works without threading,
 * so a failure is only a warning.
 */
export function ensureThreading(
  { host, recordChange }: ApplyContext,
  { interfaceName, threaded }: DesiredTunnel,
): void {
  const name = `${LINK_PREFIX}${interfaceName}/threaded`;
  const value = host.sysctls.get(name);
  const wanted = threaded ? '1' : '0';
  // Linux before 5.12 does not have this parameter.
  if (value === wanted || (value === undefined && !threaded)) return;
  try {
    if (value === undefined) throw codedError('ENOENT', 'this kernel has no such parameter');
    recordChange(`threads of ${interfaceName}: ${wanted}`);
    host.sysctls.set(name, wanted);
  } catch (error) {
    host.warn(`wireguardThreadingEnabled: ${threaded} has no effect on ${interfaceName}: ${(error as Error).message}`);
  }
}

function fileOf(name: string): string {
  return `${name.startsWith(LINK_PREFIX) ? '/sys' : '/proc/sys'}/${name}`;
}
