/**
 * The names of the offloads that can be switched off. They have a file of their own so that a help
 * text loads nothing else.
 */

/**
 * tso: TCP super-packets at the TUN, both ways; uso: UDP super-packets there; udptnl: super-packets
 * in UDP tunnels (VXLAN, Geneve) there; gso, gro: many datagrams in one call of the UDP sockets;
 * steer: handshakes arrive at separate sockets.
 */
export const OFFLOAD_SWITCHES = ['tso', 'uso', 'udptnl', 'gso', 'gro', 'steer'] as const;
/**
 * An offload that can be switched off: `tso` (TCP super-packets at the TUN, both ways), `uso` (UDP
 * super-packets there), `udptnl` (super-packets in UDP tunnels such as VXLAN and Geneve there),
 * `gso` and `gro` (many datagrams in one call of the UDP sockets), `steer` (separate sockets for
 * handshakes).
 */
export type OffloadSwitch = (typeof OFFLOAD_SWITCHES)[number];

export function isOffloadSwitch(text: string): text is OffloadSwitch {
  return (OFFLOAD_SWITCHES as readonly string[]).includes(text);
}
