/**
 * Stays with an interface that is up: asks again for the names of silent peers, brings the interface up again when it goes by itself (its process
 * died), and takes it down when it is told to end. What systemd or a container runs.
 */

import type { DeviceStatus } from '../config/model.ts';
import type { HostEndpoint } from '../config/values.ts';
import type { QuickFile } from '../quick/file.ts';
import { dueEndpoints, movedTo } from '../quick/watch.ts';
import type { Machine } from './machine.ts';

export interface WatchOptions {
  readonly machine: Machine;
  readonly file: QuickFile;
  readonly resolve: (endpoint: HostEndpoint) => Promise<Uint8Array>;
  /** Milliseconds between looks. */
  readonly interval: number;
  /** Unix time, seconds. */
  readonly now: () => number;
  /** Ends the watch. */
  readonly signal: AbortSignal;
}

/** Why a watch ended: it was told to, somebody else took the interface down, or it went by itself. */
export type WatchEnd = 'told' | 'down' | 'lost';

/** @throws Error when the kernel is not heard any more */
export async function watchInterface(options: WatchOptions): Promise<WatchEnd> {
  const { machine, file, signal, interval } = options;
  const { name } = file;
  let timer: NodeJS.Timeout | undefined;
  const watching: { close(): void }[] = [];
  try {
    return await new Promise<WatchEnd>((resolve, reject) => {
      const look = async (): Promise<void> => {
        // the status of a userspace device that hangs is not waited for here by more than one look
        const status = await machine.devices.status(name);
        if (!status) return resolve(machine.readState(name)?.phase === 'up' ? 'lost' : 'down');
        await follow(options, status);
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
    clearTimeout(timer);
    for (const each of watching) each.close();
  }
}

async function follow({ machine, file, resolve, now, signal }: WatchOptions, status: DeviceStatus): Promise<void> {
  for (const due of dueEndpoints(file, status, now())) {
    if (signal.aborted) return;
    const { host, port } = due.endpoint;
    try {
      const change = movedTo(due, await resolve(due.endpoint));
      if (!change || signal.aborted) continue;
      await machine.devices.configure(file.name, change);
      machine.say(`${host}:${port} has moved`);
    } catch (error) {
      machine.warn((error as Error).message);
    }
  }
}
