/**
 * Keeps a link of the kernel for as long as this process lives, as a userspace interface in the
 * foreground does.
 */

import type { Watch } from '../netlink/events.ts';
import type { LinkReference } from '../netlink/links.ts';
import { Network } from '../netlink/network.ts';
import type { NetlinkPort } from '../netlink/port.ts';

/**
 * Waits until the link is gone (deleted, or moved to another namespace) or `stop` aborts, which
 * removes the link.
 * @returns the reason
 * @throws NetlinkError
 */
export async function holdLink(port: NetlinkPort, link: LinkReference, stop: AbortSignal): Promise<string> {
  const network = new Network(port);
  const there = async (): Promise<boolean> => (await network.links.find(link.index)) !== undefined;
  let watch: Watch | undefined;
  try {
    const gone = await new Promise<boolean>((resolve, reject) => {
      const look = (): void => void there().then(found => found || resolve(true), reject);
      watch = network.watch(['link'], event => (event.of === 'link' && !event.gone) || look(), reject);
      stop.addEventListener('abort', () => resolve(false), { once: true });
      if (stop.aborted) resolve(false);
      // the link may have disappeared before the watch began
      else look();
    });
    if (gone) return 'the interface is gone';
    if (await there()) await network.links.remove(link);
    return 'asked to stop';
  } finally {
    watch?.close();
    network.close();
  }
}
