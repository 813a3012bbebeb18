/** A failure that a person can do something about: words for them, and a code for programs. */
import { codedError } from '../base/coded-error.ts';

export type ProblemCode =
  /** The interface is there already. */
  | 'EEXIST'
  /** There is no such interface, or it went meanwhile. */
  | 'ENODEV'
  /** Another process is at work on it. */
  | 'EBUSY'
  /** The kernel has no WireGuard. */
  | 'EOPNOTSUPP'
  /** A hook, or another program that had to be run, failed or is missing. */
  | 'EPROGRAM'
  /** Without the addon nothing can be asked of the kernel. */
  | 'EADDON'
  /** It was told to end. */
  | 'EINTR'
  /** A sysctl of the host does not allow what the file asks for. */
  | 'ESYSCTL'
  /** A file that must be written cannot be. */
  | 'EWRITE'
  /** The table has such a route already. */
  | 'EROUTE'
  /** Too small for what is asked. */
  | 'EMTU'
  /** A userspace device did not start or did not end. */
  | 'EDEVICE';

export function problem(code: ProblemCode, message: string): Error {
  return codedError(code, message);
}

export function notWireguard(name: string): Error {
  return problem('ENODEV', `\`${name}' is not a WireGuard interface`);
}
