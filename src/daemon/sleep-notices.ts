/**
 * What tells a device from outside that its sessions must end: logind before sleep, and the kernel
 * in a virtual machine that was copied or restored. What the clocks show needs no notice
 * (session-guard.ts).
 */
import { watchSleep } from '../io/logind.ts';
import { systemNetlink } from '../io/netlink.ts';
import type { NetlinkPort } from '../netlink/port.ts';
import type { DeviceLoop } from './device-loop.ts';
import type { Log } from './log.ts';
import { hasGeneration, watchGeneration, watchGenerationLog } from './vm-generation.ts';

export interface SleepNoticesOptions {
  readonly device: Pick<DeviceLoop, 'forgetSessions' | 'checkFirst'>;
  readonly log: Log;
  readonly netlink?: NetlinkPort;
  readonly isVirtual?: () => boolean;
  readonly watchLogind?: typeof watchSleep;
  readonly watchLog?: typeof watchGenerationLog;
}

/**
 * Watches for as long as a device runs. A missing bus, driver or right is no error: the log says
 * what is not watched.
 * @returns the function that ends it
 */
export function watchSleepNotices(options: SleepNoticesOptions): () => void {
  const { device, log, netlink = systemNetlink, isVirtual = hasGeneration } = options;
  const { watchLogind = watchSleep, watchLog = watchGenerationLog } = options;
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
  const onNew = () => device.forgetSessions('copied');
  const onEnd = (reason: string) => log.error(`no notice of a copied virtual machine any more: ${reason}`);
  const attempt = (where: string, watch: () => () => void) => {
    try {
      stops.push(watch());
    } catch (error) {
      log.verbose(`no notice of a copied virtual machine from ${where}: ${(error as Error).message}`);
    }
  };
  if (isVirtual()) {
    attempt("the kernel's log", () => {
      const kernelLog = watchLog({ onNew, onEnd });
      device.checkFirst(() => kernelLog.check());
      return () => kernelLog.close();
    });
    attempt("the kernel's events", () => watchGeneration(netlink, onNew, onEnd));
  }
  return () => {
    for (const stop of stops) stop();
  };
}
