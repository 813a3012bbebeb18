/** sd_notify(3) through the addon (native/notify.c). */
import type { NativeBinding } from './native-binding.ts';

/** Says nothing where no service manager listens, or no longer. @param socket the value of NOTIFY_SOCKET */
export function notifyManager(binding: NativeBinding, socket: string | undefined, text: string): void {
  if (socket === undefined || !/^[@/]./.test(socket)) return;
  try {
    binding.notifySend(socket, text);
  } catch {
    // the tunnel does not depend on it
  }
}
