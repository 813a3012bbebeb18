/**
 * Which process watches an interface (`wgts up --watch`), so that `wgts upgrade` can ask it: the
 * watcher starts the new process of the device inside its own unit or container. The watcher
 * listens on a name that the kernel frees when it ends; it sends nothing.
 */
import { createServer } from 'node:net';
import { abstractName } from '../base/abstract-name.ts';
import { isTrusted } from '../daemon/device-owner.ts';
import { nameHolder } from './name-holder.ts';

/** Makes this process the watcher of an interface. @returns the function that ends that */
export function announceWatcher(name: string): () => void {
  const server = createServer(socket => socket.destroy());
  // another watcher of the same interface keeps the name: it is asked first
  server.on('error', () => {});
  server.listen(addressOf(name), () => server.unref());
  return () => void server.close();
}

/** Returns the pid of the watcher of an interface; undefined if this namespace has no watcher. */
export async function findWatcher(name: string): Promise<number | undefined> {
  const holder = await nameHolder(addressOf(name));
  // any user could listen on the name, and a signal to a strange process does harm
  return holder && isTrusted(holder.uid) && holder.pid > 0 ? holder.pid : undefined;
}

function addressOf(name: string): string {
  return abstractName(`wireguard-ts/watch/${name}`);
}
