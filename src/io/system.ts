/**
 * Functions of the addon for the whole process: clocks, randomness, locks of files
 * (native/file-lock.c), and sd_notify(3) (native/notify.c).
 */
import { randomFillSync } from 'node:crypto';
import { hasNativeBinding, type NativeBinding, nativeBinding } from './native-binding.ts';
import type { Clock } from './ports.ts';

/**
 * Returns the system's clocks. Boot time counts suspend, so keys age while a laptop sleeps; without
 * the addon it is the time since the process started, and suspend is not noticed.
 */
export function systemClock(): Clock {
  return hasNativeBinding() ? nativeClock(nativeBinding()) : { now: () => performance.now(), wall };
}

/** One native call reads all clocks. What suspended() and stepped() return costs two loads. */
function nativeClock(binding: NativeBinding): Clock {
  const read = new Float64Array(3);
  binding.clockRead(read);
  const awakeOffset = read[0]! - read[1]!;
  const wallOffset = read[2]! - read[0]!;
  return {
    now: () => {
      binding.clockRead(read);
      return read[0]!;
    },
    wall,
    suspended: () => read[0]! - read[1]! - awakeOffset,
    stepped: () => read[2]! - read[0]! - wallOffset,
    onDisturbed: callback => watchClocks(binding, callback),
  };
}

/** @returns the function that stops; a system without such a timer is never reported */
function watchClocks(binding: NativeBinding, callback: () => void): () => void {
  let alarm: ReturnType<NativeBinding['clockAlarmOpen']>;
  try {
    alarm = binding.clockAlarmOpen();
  } catch {
    // a sandbox may forbid it; the clocks still show a suspend with the next packet
    return () => {};
  }
  const poll = binding.pollStart(binding.clockAlarmFd(alarm), () => {
    binding.clockAlarmRearm(alarm);
    callback();
  });
  return () => {
    binding.pollStop(poll);
    binding.clockAlarmClose(alarm);
  };
}

/**
 * Milliseconds are precise enough: TAI64N timestamps are whitened to some 17 ms
 * (protocol/tai64n.ts).
 */
function wall(): bigint {
  return BigInt(Date.now()) * 1_000_000n;
}

/**
 * Returns the function that fills an array with random bytes for keys. Through the addon they come
 * from the kernel, which knows when a virtual machine was copied (native/random.c).
 */
export function systemRandom(): (bytes: Uint8Array) => void {
  if (!hasNativeBinding()) return bytes => void randomFillSync(bytes);
  const binding = nativeBinding();
  return bytes => binding.randomFill(bytes);
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

/**
 * Takes the lock of an open file, which the kernel frees with its last descriptor.
 * @param fd its descriptor
 * @returns false if another process has it
 * @throws Error with `code`
 */
export function lockFile(fd: number): boolean {
  return nativeBinding().fileLock(fd);
}
