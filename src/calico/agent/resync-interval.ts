/**
 * Decides how often the agent reads everything again even if nothing has changed: every
 * routeRefreshInterval, as Felix does. Up to a tenth is added, so that nodes do not resync at the
 * same time.
 */

/** Felix's default routeRefreshInterval, used until a plan gives the configured one. */
export const DEFAULT_RESYNC_MS = 90_000;
/** Upper bound for routeRefreshInterval: timers cannot run longer than 24 days. */
const LONGEST_RESYNC_MS = 86_400_000;
const RESYNC_JITTER = 0.1;

/** Returns the interval without jitter. 0 seconds select the default. */
export function resyncInterval(seconds: number): number {
  return Math.min(seconds * 1000 || DEFAULT_RESYNC_MS, LONGEST_RESYNC_MS);
}

/** Returns the interval with jitter. @param random from 0 to 1 */
export function withJitter(intervalMs: number, random: number): number {
  return intervalMs * (1 + RESYNC_JITTER * random);
}
