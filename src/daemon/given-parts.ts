/** What of a device's ports another process gets: descriptors, and what the adapters know. */
import type { Tun, Udp } from '../io/ports.ts';
import type { LoopState } from './device-state.ts';

const NO_SOCKETS = [-1, -1, -1, -1];

/** Returns why the ports cannot leave this process; undefined if they can. */
export function whyBound(tun: Tun, udp: Udp | undefined): string | undefined {
  if (!tun.given || !tun.pause) return 'its TUN cannot leave this process';
  return udp && !(udp.given && udp.pause) ? 'its UDP sockets cannot leave this process (--backend=pure)' : undefined;
}

/**
 * Returns parts of the state, and the open descriptors: TUN, then sockets. Only if they are not
 * bound.
 */
export function givenParts(
  tun: Tun,
  udp: Udp | undefined,
): Pick<LoopState, 'tun' | 'sockets'> & { readonly descriptors: readonly number[] } {
  const { kept, descriptor } = tun.given!();
  const sockets = [...(udp?.given?.() ?? NO_SOCKETS)];
  const isOpen = (each: number) => each >= 0;
  return { tun: kept, sockets: sockets.map(isOpen), descriptors: [descriptor, ...sockets.filter(isOpen)] };
}
