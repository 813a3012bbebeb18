/**
 * Stays with an interface that is up: asks again for the names of silent peers, brings the interface up again when it goes by itself (its process
 * died), and takes it down when it is told to end. What systemd or a container runs.
 */

import { Follower, type FollowerOptions } from './follower.ts';

export interface WatchOptions extends FollowerOptions {
  /** Milliseconds between checks. */
  readonly interval: number;
}

/** Why a watch ended: it was told to, somebody else took the interface down, or it went by itself. */
export type WatchEnd = 'told' | 'down' | 'lost';

/** @throws Error when the kernel is not heard any more */
export async function watchInterface(options: WatchOptions): Promise<WatchEnd> {
  const { machine, file, signal, interval } = options;
  const { name } = file;
  let timer: NodeJS.Timeout | undefined;
  let isOver = false;
  const watching: { close(): void }[] = [];
  try {
    return await new Promise<WatchEnd>((resolve, reject) => {
      const follower = new Follower(options, reject);
      watching.push(follower);
      const look = async (): Promise<void> => {
        // the status of a userspace device that hangs is not waited for here by more than one look
        const status = await machine.devices.status(name);
        if (!status) return resolve(machine.readState(name)?.phase === 'up' ? 'lost' : 'down');
        machine.devices.eraseSecrets(status);
        // it may have ended while the device was asked
        if (isOver) return;
        follower.look(status);
        timer = setTimeout(() => void look().catch(reject), interval);
      };
      signal.addEventListener('abort', () => resolve('told'), { once: true });
      if (signal.aborted) resolve('told');
      const onEvent: Parameters<typeof machine.network.watch>[1] = event => {
        if (event.of === 'link' && event.gone && event.link.name === name)
          resolve(machine.readState(name)?.phase === 'up' ? 'lost' : 'down');
      };
      watching.push(machine.network.watch(['link'], onEvent, reject));
      look().catch(reject);
    });
  } finally {
    isOver = true;
    clearTimeout(timer);
    for (const each of watching) each.close();
  }
}
