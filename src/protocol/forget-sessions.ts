/**
 * Ends all sessions of a device at once: before and after suspend, and in a copy of a virtual
 * machine (kernel device.c, wg_pm_notification and wg_vm_notification).
 */
import type { Device } from './device.ts';

/** Does what {@link Engine.forgetSessions} promises. */
export function forgetSessions(device: Device, now: number, renew: boolean): void {
  device.forgetRandomness();
  for (const peer of device.eachPeer()) {
    const isLive = peer.pending !== undefined || !peer.staged.empty || peer.keypairs.current?.canReceive(now) === true;
    device.forgetSessions(peer);
    peer.lastSentHandshake = Number.NEGATIVE_INFINITY;
    peer.timers.sessionsForgotten(now, renew && isLive && device.running);
  }
}

/** Limits the bytes of staged packets. Drops the older half of each queue until they fit. */
export function limitStaged(device: Device, limit: number): void {
  const { staged, counters } = device;
  staged.limit = limit;
  while (staged.used > Math.max(limit, 0))
    for (const peer of device.eachPeer()) counters.stagedOverBudget += peer.staged.dropHalf();
}
