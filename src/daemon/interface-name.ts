/** What the kernel takes for an interface name (dev_valid_name): 1 to 15 bytes, no slash, colon or space, not a dot path. */
import { codedError } from '../base/coded-error.ts';

export function isInterfaceName(name: string): boolean {
  return /^[^\s/:\0]{1,15}$/.test(name) && Buffer.byteLength(name) <= 15 && name !== '.' && name !== '..';
}

/** Throws an Error with `code` EINVAL that says what is wrong. */
export function checkInterfaceName(name: string): void {
  if (!isInterfaceName(name))
    throw codedError(
      'EINVAL',
      `\`${name.slice(0, 40)}' is no interface name: it has 1 to 15 characters, without slash, colon or space`,
    );
}
