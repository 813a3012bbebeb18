/**
 * Runs one device from start to end: TUN, engine, control socket, signals. `wireguard-ts wg0` calls
 * this once its arguments are parsed.
 */
import { checkInterfaceName } from '../base/interface-name.ts';
import { systemNetlink } from '../io/netlink.ts';
import { forbidDumps } from '../io/secrets.ts';
import { systemClock, systemRandom } from '../io/system.ts';
import { systemZones } from '../io/zones.ts';
import { Engine } from '../protocol/engine.ts';
import { makeBackend, type UserspaceName } from './backend.ts';
import { reportToParent } from './background.ts';
import { DeviceLoop } from './device-loop.ts';
import { describeAdoption, KeptLink } from './kept-link.ts';
import { openKeyLog } from './key-log.ts';
import type { KernelFault } from './known-kernels.ts';
import { type LogLevel, makeLog } from './log.ts';
import type { TakenLog } from './log-sink.ts';
import type { OffloadSwitch } from './offload-switches.ts';
import { offloadsWithout } from './offloads.ts';
import { watchSleepNotices } from './sleep-notices.ts';
import { openTunWithHints } from './tun-hints.ts';
import { UapiServer } from './uapi-server.ts';
import { uapiSocketPath } from './uapi-socket.ts';
import { warmUpLater } from './warm-up.ts';

/** The default of wireguard-go: 1500 minus 80 bytes (IPv6 40, UDP 8, WireGuard 32). */
const DEFAULT_MTU = 1420;
/**
 * Signals that end a device and remove its socket. SIGHUP (the terminal closed) also ends
 * wireguard-go, but wireguard-go does not remove its socket.
 */
export const STOP_SIGNALS = ['SIGTERM', 'SIGINT', 'SIGHUP'] as const;

export interface DeviceSettings {
  readonly name: string;
  readonly backend: UserspaceName;
  /** An AEAD provider of the addon by name; default: the fastest. */
  readonly aead?: string;
  readonly offloadsOff: ReadonlySet<OffloadSwitch>;
  /**
   * Faults of this kernel (known-kernels.ts). The device avoids the affected offloads and logs
   * that.
   */
  readonly kernelFaults?: readonly KernelFault[];
  readonly logLevel: LogLevel;
  /** Inherited descriptors: an open TUN device, a listening control socket. */
  readonly tunFd?: number;
  readonly uapiFd?: number;
  readonly keyLogFile?: string;
  /** Whether the link, with its addresses and routes, stays if this process is killed. */
  readonly persist?: boolean;
  /** The log of a device in the background. */
  readonly log?: TakenLog;
}

/**
 * Runs a device until its interface is deleted, its control socket is unlinked, or one of
 * STOP_SIGNALS arrives.
 * @throws Error with the reason if the device cannot start; then nothing is left behind
 */
export async function runDevice(settings: DeviceSettings): Promise<void> {
  checkInterfaceName(settings.name);
  forbidDumps();
  const faults = settings.kernelFaults ?? [];
  const avoided = faults.map(({ avoid }) => avoid);
  const backend = makeBackend(settings.backend, offloadsWithout(settings.offloadsOff, avoided), settings.aead);
  const kept = await KeptLink.open({
    name: settings.name,
    port: systemNetlink,
    persist: settings.persist ?? false,
    isInherited: settings.tunFd !== undefined,
    open: mtu => openTunWithHints(() => backend.openTun(settings.name, settings.tunFd, mtu), settings.name),
    mtu: DEFAULT_MTU,
  });
  const { tun } = kept;
  const name = tun.status()?.name ?? settings.name;
  const { sink, toStderr } = settings.log ?? { sink: undefined, toStderr: true };
  const log = makeLog(
    settings.logLevel,
    name,
    line => toStderr && process.stderr.write(line),
    undefined,
    line => sink?.write(line),
  );
  const keyLog =
    settings.keyLogFile === undefined
      ? undefined
      : named(`WG_KEYLOGFILE=${settings.keyLogFile}`, () => openKeyLog(settings.keyLogFile!));
  const clock = systemClock();
  const random = systemRandom();
  const engine = new Engine({
    crypto: backend.crypto,
    cipher: backend.cipher,
    random,
    wall: clock.wall,
    ...(keyLog && { keyLog: keyLog.log }),
  });
  let end: (reason: string) => void = () => {};
  const ended = new Promise<string>(resolve => {
    end = resolve;
  });
  const loop = new DeviceLoop({
    engine,
    tun,
    openUdp: backend.openUdp,
    clock,
    log,
    onGone: () => end('the interface is gone'),
  });
  const stop = () => end('asked to stop');
  // install handlers before the socket exists: a program that sees the socket can signal us
  // immediately, and we must still clean up
  for (const signal of STOP_SIGNALS) process.on(signal, stop);
  let server: UapiServer | undefined;
  let stopWarmUp = () => {};
  let stopNotices = () => {};
  try {
    server = await UapiServer.listen({
      path: uapiSocketPath(name),
      device: loop,
      zones: systemZones,
      onRefused: message => log.error(message),
      onUnlinked: () => end('the control socket was removed'),
      ...(settings.uapiFd !== undefined && { fd: settings.uapiFd }),
    }).catch((error: NodeJS.ErrnoException) => {
      if (settings.uapiFd !== undefined) error.message = `WG_UAPI_FD=${settings.uapiFd}: ${error.message}`;
      // Node's codes for a folder that cannot be created on a read-only file system
      else if (error.code === 'EROFS' || error.code === 'ENOENT')
        error.message = `cannot make the control socket ${uapiSocketPath(name)}: ${error.message} (make its folder writable, in a container --tmpfs /run)`;
      throw error;
    });
    loop.start();
    await kept.keep();
    stopNotices = watchSleepNotices({ device: loop, log });
    log.notice?.(
      `began, process ${process.pid}: ${backend.description}; TUN offloads: ${tun.offloads.join(' ') || 'none'}`,
    );
    for (const { fault, remedy } of faults)
      log.error(`${fault}: ${remedy} (set WGTS_NO_OFFLOAD=none to use the offload anyway)`);
    const adoption = describeAdoption(kept, name);
    if (adoption !== undefined) (log.notice ?? log.verbose)(adoption);
    const hasCaller = reportToParent('ready');
    if (!hasCaller) end('the program that started it was killed');
    const { crypto, makeCipher } = backend;
    const quietFor = () => Math.min(loop.quietFor(), server?.quietFor() ?? 0);
    stopWarmUp = warmUpLater({ crypto, makeCipher, random, wall: clock.wall, log, quietFor });
    log.notice?.(`ended: ${await ended}`);
    // Without its caller nobody knows of this start: an adopted link stays as it was found.
    if (hasCaller || !kept.isAdopted) kept.release();
  } finally {
    for (const signal of STOP_SIGNALS) process.off(signal, stop);
    stopWarmUp();
    stopNotices();
    server?.close();
    loop.close();
    keyLog?.close();
  }
}

/** Prefixes the message of an error with the name of the setting. */
function named<T>(setting: string, attempt: () => T): T {
  try {
    return attempt();
  } catch (error) {
    throw Object.assign(error as Error, { message: `${setting}: ${(error as Error).message}` });
  }
}
