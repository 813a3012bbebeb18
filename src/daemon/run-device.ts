/**
 * Runs one device from start to end: TUN, engine, control socket, signals. `wireguard-ts wg0` calls
 * this once its arguments are parsed.
 */
import { closeSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';
import { checkInterfaceName } from '../base/interface-name.ts';
import { version } from '../io/installation.ts';
import { systemNetlink } from '../io/netlink.ts';
import { forbidDumps } from '../io/secrets.ts';
import { systemZones } from '../io/zones.ts';
import { Engine } from '../protocol/engine.ts';
import { reportToParent } from './background.ts';
import { confine } from './confine.ts';
import { DeviceLoop } from './device-loop.ts';
import { type DeviceParts, openLog, openParts } from './device-parts.ts';
import type { DeviceSettings } from './device-settings.ts';
import { RunningDevice } from './given-device.ts';
import { rehearseHandOver } from './hand-over-rehearsal.ts';
import { HandOverServer, type HandOverServerOptions } from './hand-over-server.ts';
import { describeAdoption, KeptLink, type KeptLinkSettings } from './kept-link.ts';
import type { Log } from './log.ts';
import { memoryLimit } from './memory-limit.ts';
import { watchMemory } from './memory-shares.ts';
import { watchSleepNotices } from './sleep-notices.ts';
import { takeOver } from './take-over.ts';
import { TakenDevice } from './taken-device.ts';
import { openTunWithHints } from './tun-hints.ts';
import { inodeOf, UapiServer, type UapiServerOptions } from './uapi-server.ts';
import { handOverPath, uapiSocketPath } from './uapi-socket.ts';
import { type WarmUpOptions, warmUp, warmUpLater } from './warm-up.ts';

/** The default of wireguard-go: 1500 minus 80 bytes (IPv6 40, UDP 8, WireGuard 32). */
const DEFAULT_MTU = 1420;
/** The rest between two attempts to serve the control socket of a device that runs. */
const LISTEN_REST_MS = 1000;
/**
 * Signals that end a device and remove its socket. SIGHUP (the terminal closed) also ends
 * wireguard-go, but wireguard-go does not remove its socket.
 */
export const STOP_SIGNALS = ['SIGTERM', 'SIGINT', 'SIGHUP'] as const;

/** A device that was just made or taken over. */
interface Begun {
  readonly link: KeptLink;
  readonly loop: DeviceLoop;
  readonly control: Pick<UapiServerOptions, 'path' | 'fd' | 'removes' | 'inode'>;
  readonly log: Log;
  /** How it began, for the log. */
  readonly origin: string;
}

/**
 * Runs a device until its interface is deleted, its control socket is unlinked, another process
 * takes it over, or one of STOP_SIGNALS arrives.
 * @throws Error with the reason if the device cannot start; then nothing is left behind
 */
export async function runDevice(settings: DeviceSettings): Promise<void> {
  checkInterfaceName(settings.name);
  forbidDumps();
  const program = version();
  const parts = openParts(settings);
  const { backend, clock, engineOptions } = parts;
  const stopping = new AbortController();
  let end: (reason: string) => void = () => {};
  const ended = new Promise<string>(resolve => {
    end = resolve;
  });
  const stop = () => {
    stopping.abort();
    end('asked to stop');
  };
  // install handlers before the socket exists: a program that sees the socket can signal us
  // immediately, and we must still clean up
  for (const signal of STOP_SIGNALS) process.on(signal, stop);
  let begun: Begun | undefined;
  let server: UapiServer | undefined;
  let handOver: HandOverServer | undefined;
  let successor: string | undefined;
  let stopWarmUp = () => {};
  let stopNotices = () => {};
  let stopMemory = () => {};
  try {
    const onGone = () => {
      stopping.abort();
      end('the interface is gone');
    };
    begun = settings.takesOver
      ? await takeDevice(settings, parts, program, onGone, stopping.signal)
      : await makeDevice(settings, parts, onGone);
    const { loop, log, link } = begun;
    const { tun } = link;
    server = await listenAtLast(begun, settings, stopping.signal, () => end('the control socket was removed'));
    const device = new RunningDevice({
      loop,
      link,
      server,
      now: clock.now,
      rehearse: () => rehearseHandOver(() => ({ ...engineOptions, cipher: backend.makeCipher() })),
      makeEngine: () => new Engine({ ...engineOptions, cipher: backend.makeCipher() }),
      onFinished: other => {
        successor = other;
        end('its device moved');
      },
    });
    if (!settings.takesOver) loop.start();
    await keepLink(link, settings, log);
    handOver = offerHandOver({ controlPath: begun.control.path, device, program, log });
    stopNotices = watchSleepNotices({ device: loop, log });
    if (parts.noCopies !== undefined) log.verbose(`no notice of a copied virtual machine: ${parts.noCopies}`);
    stopMemory = watchMemory({ device: loop, limit: memoryLimit(), log });
    log.notice?.(
      `${begun.origin}, process ${process.pid}: ${backend.description}; TUN offloads: ${tun.offloads.join(' ') || 'none'}`,
    );
    for (const { fault, remedy } of settings.kernelFaults ?? [])
      log.error(`${fault}: ${remedy} (set WGTS_NO_OFFLOAD=none to use the offload anyway)`);
    const adoption = describeAdoption(link, tun.status()?.name ?? settings.name);
    if (adoption !== undefined) (log.notice ?? log.verbose)(adoption);
    confine(settings.sandbox ?? 'on', log, settings.logLevel === 'verbose');
    const hasCaller = reportToParent('ready');
    // a device that was taken over was there before its caller
    if (!hasCaller && !settings.takesOver) end('the program that started it was killed');
    const quietFor = () => Math.min(loop.quietFor(), server?.quietFor() ?? 0);
    if (!settings.takesOver) stopWarmUp = warmUpLater({ ...warmUpOptions(parts, log), quietFor });
    const reason = await ended;
    // an exchange in progress decides what of the device is still ours to remove
    await handOver?.settled();
    log.notice?.(`ended: ${successor === undefined ? reason : `handed over to ${successor}`}`);
    // The caller was killed and cannot use this start: an adopted link stays as it was found.
    if (successor === undefined && (hasCaller || settings.takesOver || !link.isAdopted)) link.release();
  } finally {
    for (const signal of STOP_SIGNALS) process.off(signal, stop);
    stopWarmUp();
    stopNotices();
    stopMemory();
    if (successor === undefined) handOver?.close();
    else handOver?.release();
    if (successor === undefined) server?.close();
    else server?.release();
    begun?.loop.close();
    parts.close();
  }
}

async function makeDevice(settings: DeviceSettings, parts: DeviceParts, onGone: () => void): Promise<Begun> {
  const { backend, clock, engineOptions, sharing } = parts;
  const link = await KeptLink.open({
    ...linkOptions(settings),
    open: mtu => openTunWithHints(() => backend.openTun(settings.name, settings.tunFd, mtu), settings.name),
    mtu: DEFAULT_MTU,
  });
  const { tun } = link;
  const name = tun.status()?.name ?? settings.name;
  const log = openLog(settings, name);
  const engine = new Engine(engineOptions);
  const loop = new DeviceLoop({ engine, tun, openUdp: backend.openUdp, clock, log, onGone, ...sharing });
  const fd = settings.uapiFd;
  return {
    link,
    loop,
    log,
    control: { path: uapiSocketPath(name), ...(fd !== undefined && { fd }) },
    origin: 'began',
  };
}

/** Takes the device over; when this returns, it runs here. */
async function takeDevice(
  settings: DeviceSettings,
  parts: DeviceParts,
  program: string,
  onGone: () => void,
  signal: AbortSignal,
): Promise<Begun> {
  const log = openLog(settings, settings.name);
  const path = uapiSocketPath(settings.name);
  const inodeBefore = inodeOf(path);
  let taken: TakenDevice | undefined;
  let pause = 0;
  const {
    pid,
    program: older,
    hasSessions,
  } = await takeOver({
    path: handOverPath(path),
    program,
    signal,
    warmUp: () => {
      for (const _ of warmUp(warmUpOptions(parts, log)));
      rehearseHandOver(() => ({ ...parts.engineOptions, cipher: parts.backend.makeCipher() }));
    },
    build: (state, descriptors) => {
      taken = new TakenDevice({ ...parts, log, onGone }, state, descriptors);
      const other = taken.control.path;
      if (other !== path) throw new Error(`the state is that of the interface at ${other}, not of ${path}`);
    },
    goLive: sessions => {
      taken!.goLive(sessions);
      pause = parts.clock.now() - taken!.frozenAt;
    },
    discard: () => taken?.discard(),
  });
  const { tun, loop, controlFd, control, isOurs } = taken!;
  const { inode, removes } = control;
  // in another mount namespace, the path may be another file, or none; a socket that was here and
  // was then removed is not made again: the server finds that out and ends the device
  const isSeen = [inodeBefore, inodeOf(path)].includes(inode);
  if (!isSeen) closeSync(controlFd);
  return {
    link: KeptLink.takeOver(tun, linkOptions(settings), isOurs),
    loop,
    log,
    control: isSeen ? { path, fd: controlFd, removes, inode } : { path },
    origin: `took over from process ${pid} (version ${older})${hasSessions ? '' : ', which died: new sessions'}, after ${pause.toFixed(1)} ms without one`,
  };
}

function linkOptions({ name, persist = false, tunFd }: DeviceSettings): KeptLinkSettings {
  return { name, port: systemNetlink, persist, isInherited: tunFd !== undefined };
}

function warmUpOptions({ backend, engineOptions }: DeviceParts, log: Log): WarmUpOptions {
  const { crypto, random, wall } = engineOptions;
  return { crypto, makeCipher: backend.makeCipher, random, wall, log };
}

/** A device that was taken over runs already, so it goes on as long as it can. */
async function keepLink(link: KeptLink, { takesOver }: DeviceSettings, log: Log): Promise<void> {
  try {
    await link.keep();
  } catch (error) {
    if (!takesOver) throw error;
    log.error(`the interface will not outlive this process: ${(error as Error).message}`);
  }
}

/**
 * Makes the control socket. If the device was taken over, tries until it succeeds, because the
 * device already runs.
 * @throws Error with a remedy, or once the device must end
 */
async function listenAtLast(
  begun: Begun,
  { takesOver, uapiFd }: DeviceSettings,
  signal: AbortSignal,
  onUnlinked: () => void,
): Promise<UapiServer> {
  for (let said = ''; ; await sleep(LISTEN_REST_MS))
    try {
      return await listen(begun, uapiFd, onUnlinked);
    } catch (error) {
      const { message } = error as Error;
      if (takesOver && signal.aborted) begun.link.release();
      if (!takesOver || signal.aborted) throw error;
      if (message !== said) begun.log.error(`no client can reach the interface, which is tried again: ${message}`);
      said = message;
    }
}

/** The control socket. @throws Error with a remedy */
async function listen(
  { loop, log, control }: Begun,
  uapiFd: number | undefined,
  onUnlinked: () => void,
): Promise<UapiServer> {
  try {
    return await UapiServer.listen({
      ...control,
      device: loop,
      zones: systemZones,
      onRefused: message => log.error(message),
      onUnlinked,
    });
  } catch (caught) {
    const error = caught as NodeJS.ErrnoException;
    if (uapiFd !== undefined) error.message = `WG_UAPI_FD=${uapiFd}: ${error.message}`;
    // codes for a folder that cannot be created on a read-only file system
    else if (error.code === 'EROFS' || error.code === 'ENOENT')
      error.message = `cannot make the control socket ${control.path}: ${error.message} (make its folder writable, in a container --tmpfs /run)`;
    throw error;
  }
}

/** Lets another process take over, if the folder of the control socket allows it. */
function offerHandOver(options: HandOverServerOptions): HandOverServer | undefined {
  try {
    return new HandOverServer(options);
  } catch (error) {
    options.log.error(`no other process can take over: ${(error as Error).message}`);
    return undefined;
  }
}
