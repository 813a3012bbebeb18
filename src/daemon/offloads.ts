/** The offloads that can be switched off one by one, by `--no-NAME` and WGTS_NO_OFFLOAD. */
import { ALL_TUN_OFFLOADS, TUN_OFFLOADS, TUN_SINGLE_UDP } from '../io/tun.ts';
import { ALL_UDP_OFFLOADS, UDP_OFFLOADS } from '../io/udp.ts';
import type { AvoidedOffload } from './known-kernels.ts';
import type { OffloadSwitch } from './offload-switches.ts';

/** The offloads to request from the kernel, as {@link offloadsWithout} returns them. */
export interface Offloads {
  /** TUN_OFFLOADS bits to request, and TUN_SINGLE_UDP. */
  readonly tun: number;
  /** UDP_OFFLOADS bits to request. */
  readonly udp: number;
}

/**
 * Returns all offloads except some. Without TSO there is no UDP tunnel offload either, because it
 * merges TCP. With both TSO and USO off, checksum offload is off too: the kernel then completes
 * checksums before we read packets.
 * @param off the offloads to leave out
 * @param avoided offloads that are faulty in the running kernel (known-kernels.ts)
 */
export function offloadsWithout(off: ReadonlySet<OffloadSwitch>, avoided: readonly AvoidedOffload[] = []): Offloads {
  let tun = ALL_TUN_OFFLOADS;
  let udp = ALL_UDP_OFFLOADS;
  if (off.has('tso')) tun &= ~(TUN_OFFLOADS.tso4 | TUN_OFFLOADS.tso6);
  if (off.has('uso')) tun &= ~TUN_OFFLOADS.uso;
  if (off.has('tso') || off.has('udptnl')) tun &= ~TUN_OFFLOADS.udptnl;
  if (off.has('tso') && off.has('uso')) tun = 0;
  if (avoided.includes('usoWrite')) tun |= TUN_SINGLE_UDP;
  if (off.has('gso') || avoided.includes('gso')) udp &= ~UDP_OFFLOADS.gso;
  if (off.has('gro')) udp &= ~UDP_OFFLOADS.gro;
  if (off.has('steer')) udp &= ~UDP_OFFLOADS.steer;
  return { tun, udp };
}
