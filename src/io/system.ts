/** Functions of the addon for the whole process: clocks, and sd_notify(3) (native/notify.c). */
import { hasNativeBinding, type NativeBinding, nativeBinding } from './native-binding.ts';
import type { Clock } from './ports.ts';

/**
 * Returns the system's clocks. Boot time counts suspend, so keys age while a laptop sleeps; without
 * the addon it is the time since the process started.
 */
export function systemClock(): Clock {
  const boot = hasNativeBinding() ? nativeBinding().clockBoot : undefined;
  return { now: boot ?? (() => performance.now()), wall };
}

/**
 * Milliseconds are precise enough: TAI64N timestamps are whitened to some 17 ms
 * (protocol/tai64n.ts).
 */
function wall(): bigint {
  return BigInt(Date.now()) * 1_000_000n;
}

/**
 * Notifies the service manager. Does nothing if no manager listens, or if it has stopped.
 * @param socket the value of NOTIFY_SOCKET
 */
export function notifyManager(binding: NativeBinding, socket: string | undefined, text: string): void {
  if (socket === undefined || !/^[@/]./.test(socket)) return;
  try {
    binding.notifySend(socket, text);
  } catch {
    // the tunnel does not depend on the service manager
  }
}
