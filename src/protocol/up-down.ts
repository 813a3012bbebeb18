/** Sets a device up and down (kernel device.c, wg_open and wg_stop). */
import type { Device } from './device.ts';
import type { HandshakeQueue } from './handshake-queue.ts';
import { TIMER_PERSISTENT_KEEPALIVE } from './peer-timers.ts';

/** Lets a device send and receive. Idempotent. */
export function setUp(device: Device, now: number): void {
  if (device.running) return;
  device.running = true;
  for (const peer of device.eachPeer())
    if (peer.timers.persistentKeepalive > 0) peer.timers.set(TIMER_PERSISTENT_KEEPALIVE, now);
}

/** Forgets all sessions and stops sending. Idempotent. */
export function setDown(device: Device, handshakes: HandshakeQueue): void {
  if (!device.running) return;
  device.running = false;
  handshakes.clear();
  for (const peer of device.eachPeer()) {
    device.forgetSessions(peer);
    peer.staged.clear();
    peer.timers.clearAll();
    peer.lastSentHandshake = Number.NEGATIVE_INFINITY;
    peer.handshakeAttempts = 0;
  }
}
