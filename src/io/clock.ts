/** The system's clocks. Boot time counts suspend, so that keys age while a laptop sleeps; without the addon, time since start. */
import { hasNativeBinding, nativeBinding } from './native-binding.ts';
import type { Clock } from './ports.ts';

/**
 * Returns the system's clocks. Boot time counts suspend, so keys age while a laptop sleeps; without
 * the addon it is the time since the process started.
 */
export function systemClock(): Clock {
  const boot = hasNativeBinding() ? nativeBinding().clockBoot : undefined;
  return { now: boot ?? (() => performance.now()), wall };
}

/** Milliseconds are enough: TAI64N timestamps are whitened to some 17 ms (protocol/tai64n.ts). */
function wall(): bigint {
  return BigInt(Date.now()) * 1_000_000n;
}
