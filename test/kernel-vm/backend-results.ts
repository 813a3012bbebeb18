/** The results of each check in the guest, and the names of the guest's own checks. */
import type { Measured } from '../contract/backend-checks.ts';

export interface BackendResult {
  readonly name: string;
  readonly error?: string;
  readonly milliseconds?: Measured;
}

export const COMMANDS =
  'wgts show, every field of it, and showconf print what wg prints, for the kernel’s device and for ours';
export const TAKES_KERNEL = '--backend=auto chooses the kernel, in the background and in the foreground';
export const LOADS = 'without the module, a query makes the kernel load it';
export const TAKES_USERSPACE =
  'without any module to load, the same command chooses userspace, and --backend=kernel says what to do';
export const LOSSLESS = 'syncconf of one change among 1,000 peers of 10 allowed IPs, under traffic: no packet is lost';
export const OWN: readonly string[] = [COMMANDS, LOSSLESS, TAKES_KERNEL, LOADS, TAKES_USERSPACE];
