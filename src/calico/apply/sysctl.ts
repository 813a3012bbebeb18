/** Kernel parameters (calico-wireguard 4.9): written where they differ, never written back, as Felix does. */
import { readFileSync, writeFileSync } from 'node:fs';
import { codedError } from '../../base/coded-error.ts';
import type { DesiredTunnel } from '../model/desired.ts';
import type { Sysctls, Work } from './ports.ts';

export const SOURCE_VALID_MARK = 'net/ipv4/conf/all/src_valid_mark';
const FOLDER = '/proc/sys/';

/** Of this network namespace. */
export const systemSysctls: Sysctls = {
  get(name) {
    try {
      return readFileSync(FOLDER + name, 'utf8').trim();
    } catch {
      return undefined;
    }
  },
  set: (name, value) => writeFileSync(FOLDER + name, value),
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
