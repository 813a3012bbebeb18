/**
 * Watches an interface that is up. Resolves the names of silent peers again, and notices when the
 * interface is taken down or its process dies. This is the watch of `wgts up --watch`, which runs
 * under systemd or in a container.
 */

import { EndpointFollower, type EndpointFollowerOptions } from './endpoint-follower.ts';

export interface WatchOptions extends EndpointFollowerOptions {
  /** Milliseconds between checks. */
  readonly interval: number;
}

/**
 * Why a watch ended: on request, because another program took the interface down, or because its
 * process died.
 */
export type WatchEnd = 'stopped' | 'down' | 'lost';

/** Watches until the watch ends for one of these reasons. @throws Error if netlink events stop */
export async function watchInterface(options: WatchOptions): Promise<WatchEnd> {
  const { machine, file, signal, interval } = options;
  const { name } = file;
  let timer: NodeJS.Timeout | undefined;
  let isOver = false;
  const watching: { close(): void }[] = [];
  try {
    return await new Promise<WatchEnd>((resolve, reject) => {
      const follower = new EndpointFollower(options, reject);
      watching.push(follower);
      const look = async (): Promise<void> => {
        // checks do not overlap, since a userspace device may hang
        const status = await machine.devices.status(name);
        if (!status) return resolve(machine.readState(name)?.phase === 'up' ? 'lost' : 'down');
        machine.devices.eraseSecrets(status);
        // the watch may have ended while the request was running
        if (isOver) return;
        follower.look(status);
        timer = setTimeout(() => void look().catch(reject), interval);
      };
      signal.addEventListener('abort', () => resolve('stopped'), { once: true });
      if (signal.aborted) resolve('stopped');
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
