/**
 * Watches an interface that is up. Resolves the names of silent peers again, and notices when the
 * interface is taken down or its process dies. This is the watch of `wgts up --watch`, which runs
 * under systemd or in a container.
 */

import type { DeviceStatus } from '../config/model.ts';
import { isOrphan } from '../netlink/orphan.ts';
import { EndpointFollower, type EndpointFollowerOptions } from './endpoint-follower.ts';
import { Lifeline } from './lifeline.ts';

export interface WatchOptions extends EndpointFollowerOptions {
  /** Milliseconds between checks. */
  readonly interval: number;
  /** Receives each status that was read. Its secrets are erased afterwards. */
  readonly onStatus?: (status: DeviceStatus) => void;
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
  let isSilent = false;
  const watching: { close(): void }[] = [];
  try {
    return await new Promise<WatchEnd>((resolve, reject) => {
      const isDown = () => machine.readState(name)?.phase !== 'up';
      const lost = () => resolve(isDown() ? 'down' : 'lost');
      const follower = new EndpointFollower(options, reject);
      watching.push(follower);
      const look = async (): Promise<void> => {
        // checks do not overlap, since a userspace device may hang
        const status = await machine.devices.status(name);
        // the watch may have ended while the request was running
        if (isOver) return;
        if (!status) {
          const link = await machine.network.links.find(name);
          if (!link || isOrphan(link) || isDown()) return lost();
          // Its process holds the link: it was stopped (SIGSTOP), or is overloaded.
          if (!isSilent) machine.warn(`${name} does not answer: its process was stopped or hangs`);
          isSilent = true;
        } else {
          isSilent = false;
          options.onStatus?.(status);
          follower.look(status);
          machine.devices.eraseSecrets(status);
        }
        timer = setTimeout(() => void look().catch(reject), interval);
      };
      signal.addEventListener('abort', () => resolve('stopped'), { once: true });
      if (signal.aborted) resolve('stopped');
      const onEvent: Parameters<typeof machine.network.watch>[1] = event => {
        if (event.of === 'link' && event.link.name === name && (event.gone || isOrphan(event.link))) lost();
      };
      watching.push(new Lifeline(name, lost));
      watching.push(machine.network.watch(['link'], onEvent, reject));
      look().catch(reject);
    });
  } finally {
    isOver = true;
    clearTimeout(timer);
    for (const each of watching) each.close();
  }
}
