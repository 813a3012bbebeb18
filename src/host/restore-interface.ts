/**
 * Brings an interface up again after its process died: the part of `wgts up --watch` that must not
 * give up while the link is there, because the end of the watch removes the link.
 */
import { setTimeout as sleep } from 'node:timers/promises';
import type { BackOff } from '../base/back-off.ts';
import { isMarked, isOrphan } from '../netlink/orphan.ts';
import type { QuickHost, UpTarget } from '../quick/ports.ts';
import * as quick from '../quick/quick.ts';
import { withLock } from './interface-lock.ts';

const END_PATIENCE_MS = 5_000;
const END_POLL_MS = 5;

export interface RestoreOptions {
  readonly signal: AbortSignal;
  readonly backOff: BackOff;
  /** How long to wait for another wgts process, in milliseconds. */
  readonly patience: number;
}

/**
 * Brings the interface up again. While its link is there, repeats until a process runs it, because
 * the removal of the link would let traffic leave in the clear.
 * @throws Error: why it is not up, if there is no link that a process left; any error after the
 * signal
 */
export async function restoreInterface(host: QuickHost, target: UpTarget, options: RestoreOptions): Promise<void> {
  const { name } = target.file;
  const { signal, backOff, patience } = options;
  await processEnded(host, name);
  for (;;)
    try {
      await withLock(name, () => quick.up(host, target), { patience });
      return;
    } catch (error) {
      if (signal.aborted) throw error;
      if ((error as NodeJS.ErrnoException).code === 'EEXIST' && (await isServed(host, name))) return;
      if (!(await isLinkLeft(host, name))) throw error;
      host.warn((error as Error).message);
      await sleep(backOff.next(), undefined, { signal });
    }
}

/**
 * Returns whether the interface has a link that one of our processes made persistent, or an
 * adoption of it has begun. What cannot be read counts as yes.
 */
export async function isLinkLeft(host: QuickHost, name: string): Promise<boolean> {
  try {
    if (host.readState(name)?.adopting) return true;
    const link = await host.network.links.find(name);
    return link !== undefined && isMarked(link);
  } catch {
    return true;
  }
}

/** Returns whether another wgts has brought the interface up in the meantime. */
async function isServed(host: QuickHost, name: string): Promise<boolean> {
  try {
    const link = await host.network.links.find(name);
    return link !== undefined && isMarked(link) && !isOrphan(link) && host.readState(name)?.phase === 'up';
  } catch {
    return false;
  }
}

/**
 * Waits until the kernel has closed the TUN of a process that died, which takes longer than closing
 * its control socket.
 */
async function processEnded({ network }: QuickHost, name: string): Promise<void> {
  const carrier = () =>
    network.links.find(name).then(
      link => link?.carrier === true,
      () => false,
    );
  for (const end = performance.now() + END_PATIENCE_MS; performance.now() < end; await sleep(END_POLL_MS))
    if (!(await carrier())) return;
}
