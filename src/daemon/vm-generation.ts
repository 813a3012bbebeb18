/**
 * The generation of a virtual machine (vmgenid), which the hypervisor changes when the machine was
 * copied, or restored from a snapshot. Linux says that in its log alone (copy-counter.ts), but some
 * builds also send an event: that patch was taken back before a release.
 */
import { readdirSync } from 'node:fs';
import { NETLINK_KOBJECT_UEVENT, type NetlinkPort } from '../netlink/port.ts';
import { isNewGeneration, parseUevent, UEVENT_GROUP } from '../netlink/uevent.ts';

/** The driver's folders, up to Linux 6.9 and since then. */
const DRIVERS = ['/sys/bus/acpi/drivers/vmgenid', '/sys/bus/platform/drivers/vmgenid'];
/** Entries that every driver's folder has; any other is a device. */
const NOT_DEVICES = new Set(['bind', 'unbind', 'uevent', 'module']);

/** Reports whether this machine has a generation that its kernel watches. */
export function hasGeneration(folders: readonly string[] = DRIVERS): boolean {
  return folders.some(folder => {
    try {
      return readdirSync(folder).some(name => !NOT_DEVICES.has(name));
    } catch {
      return false;
    }
  });
}

/**
 * Listens for the event, where the kernel sends one, and calls back also if events were lost. The
 * socket wakes this process for events of all devices, so open it only where hasGeneration() is
 * true. The addon passes on only what the kernel sent, so no process can forge an event.
 * @param onEnd called with the reason if the kernel ends the watch
 * @returns the function that ends that
 * @throws Error with `code` if the kernel refuses the socket
 */
export function watchGeneration(port: NetlinkPort, onNew: () => void, onEnd: (reason: string) => void): () => void {
  const channel = port.open(NETLINK_KOBJECT_UEVENT, [UEVENT_GROUP], {
    datagram: bytes => {
      const uevent = parseUevent(bytes);
      if (uevent && isNewGeneration(uevent)) onNew();
    },
    // a new generation may have been among them, and forgetting sessions costs one round trip
    lost: onNew,
    failed: error => {
      channel.close();
      // what made the socket fail may have cost an event too
      onNew();
      onEnd(error.message);
    },
  });
  return () => channel.close();
}
