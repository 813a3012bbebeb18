/** The names of the offloads that can be switched off. A file of its own: a help text loads nothing else. */

/**
 * tso: TCP super-packets at the TUN, both ways; uso: UDP super-packets there; gso, gro: many datagrams in one call of the
 * UDP sockets; steer: handshakes arrive at sockets of their own.
 */
export const OFFLOAD_SWITCHES = ['tso', 'uso', 'gso', 'gro', 'steer'] as const;
/**
 * An offload that can be switched off: `tso` (TCP super-packets at the TUN, both ways), `uso` (UDP
 * ones), `gso` and `gro` (many datagrams in one call of the UDP sockets), `steer` (sockets of their
 * own for handshakes).
 */
export type OffloadSwitch = (typeof OFFLOAD_SWITCHES)[number];

export function isOffloadSwitch(text: string): text is OffloadSwitch {
  return (OFFLOAD_SWITCHES as readonly string[]).includes(text);
}
