/**
 * Notices that this virtual machine was copied, or restored from a snapshot: the hypervisor then
 * changes its generation (vmgenid), and the kernel draws new randomness. Linux writes that into its
 * log. It has no other way to tell programs, but some builds of it also send an event: that patch
 * was taken back before a release.
 */
import { readdirSync } from 'node:fs';
import { type KernelLog, watchKernelLog } from '../io/kernel-log.ts';
import { NETLINK_KOBJECT_UEVENT, type NetlinkPort } from '../netlink/port.ts';
import { isNewGeneration, parseUevent, UEVENT_GROUP } from '../netlink/uevent.ts';

/** The driver's folders, up to Linux 6.9 and since then. */
const DRIVERS = ['/sys/bus/acpi/drivers/vmgenid', '/sys/bus/platform/drivers/vmgenid'];
/** What drivers/char/random.c logs (Linux 5.18 and later). */
const RESEEDED = 'random: crng reseeded due to virtual machine fork';
/**
 * Lost messages may have been about a copy. But hosts that make the kernel log much must not be
 * able to end all sessions more often than this.
 */
const LOSS_EVERY_MS = 60_000;
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

export interface GenerationLogOptions {
  /** Called whenever the machine's generation has changed, also if messages were lost. */
  readonly onNew: () => void;
  /** Called with the reason if the log cannot be read any more. */
  readonly onEnd: (reason: string) => void;
  /** Milliseconds since any time. */
  readonly now?: () => number;
  readonly watch?: typeof watchKernelLog;
}

/**
 * Reads the kernel's log, until it is closed.
 * @throws Error with `code` if the log cannot be opened
 */
export function watchGenerationLog(options: GenerationLogOptions): KernelLog {
  const { onNew, onEnd, now = () => performance.now(), watch = watchKernelLog } = options;
  let lostAt = Number.NEGATIVE_INFINITY;
  return watch({
    onMessage: text => {
      if (text === RESEEDED) onNew();
    },
    onLost: () => {
      if (now() - lostAt < LOSS_EVERY_MS) return;
      lostAt = now();
      onNew();
    },
    onEnd: error => onEnd(error.message),
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
