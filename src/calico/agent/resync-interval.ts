/**
 * Decides after how long the agent reads everything again without a cause: after Felix's
 * routeRefreshInterval, as in Felix, and up to a tenth longer, so that nodes do not do it together.
 */

/** Felix's default routeRefreshInterval, used while no plan says otherwise. */
export const DEFAULT_RESYNC_MS = 90_000;
/** Upper bound for routeRefreshInterval: timers cannot run longer than 24 days. */
const LONGEST_RESYNC_MS = 86_400_000;
const RESYNC_JITTER = 0.1;

/** Returns the interval without jitter; 0 seconds mean the default. */
export function resyncInterval(seconds: number): number {
  return Math.min(seconds * 1000 || DEFAULT_RESYNC_MS, LONGEST_RESYNC_MS);
}

/** @param random from 0 up to 1 */
export function withJitter(intervalMs: number, random: number): number {
  return intervalMs * (1 + RESYNC_JITTER * random);
}
