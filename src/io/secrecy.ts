/** Keys stay out of core dumps (native/secrecy.c). */
import { nativeBinding } from './native-binding.ts';

/**
 * No core dump of this process, whatever limits and kernel.core_pattern say, and no look at its memory by others of its user; for good. What only
 * root may do (a debugger, /proc/PID/mem) root still may. Does nothing where there is no addon, without which no device runs.
 */
export function forbidDumps(): void {
  try {
    nativeBinding().forbidDumps();
  } catch {
    // a sandbox that forbids prctl is no reason not to run; that the addon is missing is said by whoever needs it
  }
}
