/** Explains a link whose process died (`wireguard-ts --persist`), and how to go on. */
import { Network } from '../netlink/network.ts';
import { isOrphan } from '../netlink/orphan.ts';
import type { NetlinkPort } from '../netlink/port.ts';

/** Returns whether the name belongs to a link of ours without a process, in this namespace. */
export async function isOrphanHere(name: string, port: NetlinkPort): Promise<boolean> {
  try {
    const network = new Network(port);
    try {
      const link = await network.links.find(name);
      return link !== undefined && isOrphan(link);
    } finally {
      network.close();
    }
  } catch {
    return false;
  }
}

/** Returns what an orphan is, with the commands that adopt and remove it. */
export function orphanText(name: string): string {
  return (
    `${name} has no process: the one that ran it died. Its link, addresses and routes are left, and the kernel drops ` +
    `what is sent to it. Adopt it: wgts up ${name} (or wireguard-ts --persist ${name}, then configure it); ` +
    `remove it: wgts down ${name} (or ip link delete ${name})`
  );
}
