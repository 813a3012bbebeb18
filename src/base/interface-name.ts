/** Names of network interfaces, by the kernel's rule (dev_valid_name). */
import { codedError } from './coded-error.ts';
import { encodeText } from './utf8.ts';

/** The longest name in bytes: Linux's IFNAMSIZ without the terminating NUL. */
export const INTERFACE_NAME_MAX = 15;

/**
 * Reports whether the kernel accepts the name: 1 to 15 bytes, without slash, colon or space, and
 * neither `.` nor `..`.
 */
export function isInterfaceName(name: string): boolean {
  return (
    /^[^\s/:\0]{1,15}$/.test(name) && encodeText(name).length <= INTERFACE_NAME_MAX && name !== '.' && name !== '..'
  );
}

/** Checks an interface name. @throws Error with `code` EINVAL that names the rule */
export function checkInterfaceName(name: string): void {
  if (!isInterfaceName(name))
    throw codedError(
      'EINVAL',
      `\`${name.slice(0, 40)}' is not an interface name: it has 1 to 15 characters, without slash, colon or space`,
    );
}
