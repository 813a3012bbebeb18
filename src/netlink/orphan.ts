/**
 * Recognizes TUN links that `wireguard-ts --persist` made, and those of them whose process died.
 * The link's alias is the marker, because the kernel keeps it with the link and shows it to
 * everyone (`ip link`).
 */
import type { Link } from './links.ts';

/** The alias of a TUN that this program made persistent, and deletes at its end. */
export const LINK_MARKER = 'wireguard-ts';

/** Returns whether this program made the link persistent: it may be adopted and deleted. */
export function isMarked({ kind, alias }: Pick<Link, 'kind' | 'alias'>): boolean {
  return kind === 'tun' && alias === LINK_MARKER;
}

/**
 * Returns whether the link is ours and its process died. The link keeps its addresses and routes,
 * and the kernel drops what is sent to it.
 */
export function isOrphan(link: Pick<Link, 'kind' | 'alias' | 'carrier'>): boolean {
  return isMarked(link) && !link.carrier;
}
