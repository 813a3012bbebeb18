/** What every device of this process needs: code, clock, log and the options of its engines. */
import { nativeBinding } from '../io/native-binding.ts';
import type { Clock } from '../io/ports.ts';
import { systemClock, systemRandom } from '../io/system.ts';
import type { DeviceOptions } from '../protocol/device.ts';
import { awakeLimit } from './awake-limit.ts';
import { type DaemonBackend, makeBackend } from './backend.ts';
import { CopyCounter, withCopies } from './copy-counter.ts';
import type { DeviceLoopOptions } from './device-loop-options.ts';
import type { DeviceSettings } from './device-settings.ts';
import { openKeyLog } from './key-log.ts';
import { type Log, makeLog } from './log.ts';
import { memoryLimit } from './memory-limit.ts';
import { sharesOf } from './memory-shares.ts';
import { offloadsWithout } from './offloads.ts';
import { processors, threadsFor } from './processors.ts';

export interface DeviceParts {
  readonly backend: DaemonBackend;
  readonly clock: Clock;
  readonly engineOptions: DeviceOptions;
  /** The threads that share the work of the device. */
  readonly sharing: Pick<DeviceLoopOptions, 'makeLanes' | 'shareAlways'>;
  /** Why copies of this virtual machine are not noticed; undefined if they are. */
  readonly noCopies: string | undefined;
  /** Closes the key log and the kernel's. */
  close(): void;
}

/** Opens the parts. @throws Error that names what is missing */
export function openParts(settings: DeviceSettings): DeviceParts {
  const avoided = (settings.kernelFaults ?? []).map(({ avoid }) => avoid);
  const backend = makeBackend(settings.backend, offloadsWithout(settings.offloadsOff, avoided), settings.aead);
  const available = processors();
  nativeBinding().spinLimit(awakeLimit(available));
  const { keyLogFile } = settings;
  const keyLog =
    keyLogFile === undefined ? undefined : named(`WG_KEYLOGFILE=${keyLogFile}`, () => openKeyLog(keyLogFile));
  const threads = threadsFor(settings.threads, available);
  const copies = new CopyCounter();
  const clock = withCopies(systemClock(), copies);
  return {
    backend,
    clock,
    sharing: {
      makeLanes: cipher => backend.makeLanes?.(cipher, threads),
      shareAlways: settings.shareAlways === true,
    },
    noCopies: copies.problem,
    engineOptions: {
      crypto: backend.crypto,
      cipher: backend.cipher,
      random: systemRandom(),
      stagedBytes: sharesOf(memoryLimit()?.bytes).staged,
      wall: clock.wall,
      ...(keyLog && { keyLog: keyLog.log }),
    },
    close: () => {
      keyLog?.close();
      copies.close();
    },
  };
}

/** Makes the log of a device. */
export function openLog({ logLevel, log }: DeviceSettings, name: string): Log {
  const { sink, toStderr } = log ?? { sink: undefined, toStderr: true };
  return makeLog(
    logLevel,
    name,
    line => toStderr && process.stderr.write(line),
    undefined,
    line => sink?.write(line),
  );
}

/** Prefixes the message of an error with the name of the setting. */
function named<T>(setting: string, attempt: () => T): T {
  try {
    return attempt();
  } catch (error) {
    throw Object.assign(error as Error, { message: `${setting}: ${(error as Error).message}` });
  }
}
