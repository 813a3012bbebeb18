/**
 * What tells a device from outside that its sessions must end: logind before sleep, and the kernel
 * in a virtual machine that was copied or restored. What the clocks show needs no notice
 * (session-guard.ts).
 */
import { watchSleep } from '../io/logind.ts';
import { systemNetlink } from '../io/netlink.ts';
import type { NetlinkPort } from '../netlink/port.ts';
import type { Log } from './log.ts';
import type { SessionEnd } from './session-guard.ts';
import { hasGeneration, watchGeneration } from './vm-generation.ts';

export interface SleepNoticesOptions {
  readonly device: { forgetSessions(why: SessionEnd): void };
  readonly log: Log;
  readonly netlink?: NetlinkPort;
  readonly isVirtual?: () => boolean;
  readonly watchLogind?: typeof watchSleep;
}

/**
 * Watches for as long as a device runs. A missing bus, driver or right is no error: the log says
 * what is not watched.
 * @returns the function that ends it
 */
export function watchSleepNotices(options: SleepNoticesOptions): () => void {
  const { device, log, netlink = systemNetlink, isVirtual = hasGeneration, watchLogind = watchSleep } = options;
  const stops = [
    watchLogind({
      // after the resume, or if the suspend was called off, the clocks tell
      onSleep: isAhead => isAhead && device.forgetSessions('sleepAhead'),
      onEnd: (reason, hadBus) => {
        const text = `no notice before sleep: ${reason}`;
        if (hadBus && log.notice) log.notice(text);
        else log.verbose(text);
      },
    }),
  ];
  const onCopied = () => device.forgetSessions('copied');
  const onEnd = (reason: string) => log.error(`no notice of a copied virtual machine any more: ${reason}`);
  if (isVirtual())
    try {
      stops.push(watchGeneration(netlink, onCopied, onEnd));
    } catch (error) {
      log.verbose(`no notice of a copied virtual machine: ${(error as Error).message}`);
    }
  return () => {
    for (const stop of stops) stop();
  };
}
