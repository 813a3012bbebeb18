/**
 * Explains refusals that a device reports only as an errno: a ListenPort in use, a mark that cannot
 * be set.
 */
import { codedError } from '../base/coded-error.ts';
import { ConfigError, ERRNO } from '../config/errors.ts';
import type { DeviceConfig } from '../config/model.ts';
import { portHolder } from '../io/port-holder.ts';
import { isRefusal } from '../netlink/errors.ts';

/** Returns an Error with `code` EADDRINUSE that names the port and its holder. */
export function portInUse(name: string, port: number): Error {
  const holder = portHolder(port);
  const who = holder === undefined ? 'by a socket that this network namespace does not show' : `by ${holder}`;
  return codedError(
    'EADDRINUSE',
    `${name}: UDP port ${port} is in use, ${who}: choose another ListenPort, or stop the program that holds it`,
  );
}

/**
 * Waits for a change, and explains its failure.
 * @throws Error with `code` and a remedy for a known refusal; any other error of `setting`
 * unchanged
 */
export async function explainRefusal<T>(name: string, config: DeviceConfig, setting: Promise<T>): Promise<T> {
  const { listenPort, fwmark } = config;
  try {
    return await setting;
  } catch (error) {
    if (listenPort && isRefused(error, 'EADDRINUSE')) throw portInUse(name, listenPort);
    if (listenPort && isRefused(error, 'EACCES'))
      throw codedError('EACCES', `${name}: UDP port ${listenPort} may not be opened here: ${BIND_RIGHT}`);
    if (fwmark && isRefused(error, 'EPERM')) throw codedError('EPERM', `${name}: fwmark ${fwmark}: ${MARK_RIGHT}`);
    if (fwmark && isRefused(error, 'ENOTSUP')) throw codedError('ENOTSUP', `${name}: fwmark ${fwmark}: ${MARK_PURE}`);
    throw error;
  }
}

const BIND_RIGHT =
  'choose a port from 1024 up, or give the program CAP_NET_BIND_SERVICE (net.ipv4.ip_unprivileged_port_start is the first port that needs no right)';
const MARK_RIGHT = 'the program that runs the interface needs CAP_NET_ADMIN to mark its packets; start it as root';
const MARK_PURE =
  'backend pure cannot mark its packets, which a default route through the tunnel needs: use the addon (--backend=native), or set Table = off or narrower AllowedIPs';

function isRefused(error: unknown, code: 'EADDRINUSE' | 'EACCES' | 'EPERM' | 'ENOTSUP'): boolean {
  if (error instanceof ConfigError) return error.code === 'refused' && error.errno === ERRNO[code];
  return isRefusal(error, code);
}
