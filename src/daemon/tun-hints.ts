/**
 * Explains what to do if a TUN device does not open: `/dev/net/tun` is missing or closed to this
 * user, the privilege is missing, or the name is in use. The texts name the options of containers.
 */
import { statSync } from 'node:fs';
import type { Tun } from '../io/ports.ts';

/** Opens a TUN. @throws Error with the system's reason and a remedy */
export function openTunWithHints(open: () => Tun, name: string): Tun {
  try {
    return open();
  } catch (error) {
    const { code, message } = error as NodeJS.ErrnoException;
    const hint = code === 'EACCES' && process.getuid?.() !== 0 ? (ownersOnly() ?? HINTS[code]) : HINTS[code ?? ''];
    throw Object.assign(new Error(`cannot open TUN device ${name}: ${message}${hint ? ` (${hint})` : ''}`), { code });
  }
}

/**
 * Returns the remedy if the mode of the device file denies access to other users. The mode applies
 * even to root inside a user namespace.
 */
function ownersOnly(): string | undefined {
  const { mode } = statSync('/dev/net/tun', { throwIfNoEntry: false }) ?? { mode: 0o666 };
  if ((mode & 0o006) === 0o006) return undefined;
  return 'only the owner of /dev/net/tun may open it here: run as root, or chmod 0666 /dev/net/tun as on most systems';
}

const HINTS: Readonly<Record<string, string>> = {
  EPERM:
    'root or CAP_NET_ADMIN is needed, in a container --cap-add NET_ADMIN; without root try it inside: unshare -Urn',
  EACCES: 'root or CAP_NET_ADMIN is needed; without root try it inside: unshare -Urn',
  ENOENT: '/dev/net/tun is missing; load the tun module, or give the container --device /dev/net/tun',
  ENODEV: 'the tun module is not loaded: modprobe tun',
  EBUSY: 'the interface exists already, and another program has it open',
  ENOTTY: '/dev/net/tun is not a TUN device; give the container --device /dev/net/tun',
  EINVAL: 'an interface of that name exists, and is not a TUN with one queue',
};
