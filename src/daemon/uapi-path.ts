/** Where the control sockets are. */

/** The path at which `wg` looks for the socket of an interface. */
export function uapiSocketPath(name: string): string {
  return `/var/run/wireguard/${name}.sock`;
}
