/** Failures that a person can fix: a sentence for people and a code for programs. */
import { codedError } from '../base/coded-error.ts';

export type ProblemCode =
  /** The interface exists already. */
  | 'EEXIST'
  /** The interface does not exist, or was removed during the operation. */
  | 'ENODEV'
  /** Another process holds the lock of this interface. */
  | 'EBUSY'
  /** The kernel has no WireGuard. */
  | 'EOPNOTSUPP'
  /** A hook or another required program failed or is missing. */
  | 'EPROGRAM'
  /** The native addon is missing; without it, this program cannot send netlink requests. */
  | 'EADDON'
  /** A signal interrupted the operation. */
  | 'EINTR'
  /** A sysctl of the host forbids a setting of the file. */
  | 'ESYSCTL'
  /** A file cannot be written. */
  | 'EWRITE'
  /** The table already has this route. */
  | 'EROUTE'
  /** The MTU is too small. */
  | 'EMTU'
  /** A userspace device did not start or did not end. */
  | 'EDEVICE';

export function problem(code: ProblemCode, message: string): Error {
  return codedError(code, message);
}

export function notWireguard(name: string): Error {
  return problem('ENODEV', `\`${name}' is not a WireGuard interface`);
}
