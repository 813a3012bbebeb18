/**
 * Loads the addon (io/addon-file.ts chooses the file), and declares the types of its exports. Its
 * functions are thin. Their only callers are io/tun.ts, io/udp.ts and io/native-cipher.ts, which
 * adapt them to the ports.
 */
import { existsSync } from 'node:fs';
import { createRequire } from 'node:module';
import type { CryptoBinding } from '../crypto/node/native.ts';
import { addonPath, addonPaths } from './addon-file.ts';
import { embeddedBinding } from './embedded.ts';
import { isExecutable } from './installation.ts';
import type { CipherBinding, CipherHandle } from './native-cipher.ts';

declare const handle: unique symbol;
export interface PollHandle {
  readonly [handle]: 'poll';
}
interface ClockAlarmHandle {
  readonly [handle]: 'clock-alarm';
}
export interface NoticesHandle {
  readonly [handle]: 'notices';
}
export interface NetlinkHandle {
  readonly [handle]: 'netlink';
}
export interface TunHandle {
  readonly [handle]: 'tun';
}
export interface UdpHandle {
  readonly [handle]: 'udp';
}
export interface LanesHandle {
  readonly [handle]: 'lanes';
}
export interface RightsHandle {
  readonly [handle]: 'rights';
}

interface TunCounters {
  readonly offloads: number;
  readonly merged: number;
  readonly unmerged: number;
  /** How often merging of a kind was paused, and the kinds (MERGE_*) that are paused now. */
  readonly paused: number;
  readonly pausing: number;
  readonly refused: number;
  readonly malformed: number;
}

interface UdpInfo {
  readonly port: number;
  /** -1 if the family is missing. */
  readonly fd4: number;
  readonly fd6: number;
  /** The sockets for handshakes only. */
  readonly handshakes4: number;
  readonly handshakes6: number;
  readonly offloads: number;
  readonly gsoFailed: number;
  readonly gsoDisabled: number;
  readonly gsoPaused: number;
  readonly localDropped: number;
  readonly blocked: number;
  readonly truncated: number;
}

/** The functions of the addon. Each one is documented in native/, above its definition. */
export interface NativeBinding extends CipherBinding, CryptoBinding {
  clockRead(out: Float64Array): void;
  clockAlarmOpen(): ClockAlarmHandle;
  clockAlarmFd(alarm: ClockAlarmHandle): number;
  clockAlarmRearm(alarm: ClockAlarmHandle): void;
  clockAlarmClose(alarm: ClockAlarmHandle): void;
  randomFill(bytes: Uint8Array): void;
  pollStart(fd: number, callback: (waited: number) => unknown): PollHandle;
  pollStop(poll: PollHandle): void;
  spinLimit(microseconds: number): void;
  noticesOpen(what: number): NoticesHandle;
  noticesFd(notices: NoticesHandle): number;
  noticesDrain(notices: NoticesHandle): number;
  noticesClose(notices: NoticesHandle): void;
  netlinkOpen(protocol: number, groups: Int32Array): NetlinkHandle;
  netlinkFd(netlink: NetlinkHandle): number;
  netlinkSend(netlink: NetlinkHandle, bytes: Uint8Array): void;
  netlinkReceive(netlink: NetlinkHandle, slab: Uint8Array, desc: Int32Array): number;
  netlinkClose(netlink: NetlinkHandle): void;
  notifySend(path: string, text: string): void;
  /**
   * Forbids core dumps, and reads of this process's memory by other processes of its user, until it
   * ends.
   */
  forbidDumps(): void;
  /** Returns how many other threads still have more, or -1 if they cannot be listed. */
  dropPrivileges(keep: number): number;
  sandboxProgram(options: number): Uint8Array;
  sandboxInstall(options: number): void;
  rightsListen(path: string, backlog: number): RightsHandle;
  rightsConnect(path: string): RightsHandle;
  rightsAccept(rights: RightsHandle): RightsHandle | undefined;
  rightsFd(rights: RightsHandle): number;
  rightsPeer(descriptor: number): { pid: number; uid: number };
  rightsSend(rights: RightsHandle, bytes: Uint8Array, descriptors: Int32Array, limit: number): void;
  rightsReceive(rights: RightsHandle, bytes: Uint8Array, descriptors: Int32Array): number;
  rightsClose(rights: RightsHandle): void;
  rightsCopy(descriptor: number): number;
  rightsToken(): number;
  fileLock(descriptor: number): boolean;
  kernelLogOpen(path: string): number;
  kernelLogRead(descriptor: number, bytes: Uint8Array): number;
  lanesOpen(cipher: CipherHandle, threads: number): LanesHandle;
  lanesClose(lanes: LanesHandle): void;
  lanesSeal(
    lanes: LanesHandle,
    udp: UdpHandle | undefined,
    input: Uint8Array,
    jobs: Int32Array,
    count: number,
    output: Uint8Array,
    desc: Int32Array,
    endpoints: Uint8Array,
    datagrams: number,
  ): boolean;
  lanesUnseal(lanes: LanesHandle, slab: Uint8Array, jobs: Int32Array, count: number): boolean;
  lanesWrite(lanes: LanesHandle, tun: TunHandle, slab: Uint8Array, desc: Int32Array, count: number): boolean;
  lanesHelp(lanes: LanesHandle): boolean;
  lanesDone(lanes: LanesHandle, out: Int32Array): void;
  lanesNext(lanes: LanesHandle): void;
  lanesFd(lanes: LanesHandle): number;
  lanesWatch(lanes: LanesHandle): boolean;
  lanesTimes(lanes: LanesHandle, out: Float64Array): void;
  tunOpen(name: string, adopt: number, offloads: number, mtu: number): TunHandle;
  tunAdopt(descriptor: number, offloads: number, kept: Int32Array): TunHandle;
  tunKept(tun: TunHandle, out: Int32Array): void;
  tunFd(tun: TunHandle): number;
  tunRead(tun: TunHandle, slab: Uint8Array, desc: Int32Array, most: number): number;
  tunWrite(tun: TunHandle, slab: Uint8Array, desc: Int32Array, count: number): number;
  tunWriteGroups(
    tun: TunHandle,
    slab: Uint8Array,
    desc: Int32Array,
    count: number,
    groups: Int32Array,
    next: Int32Array,
    made: number,
  ): number;
  tunRetry(tun: TunHandle): void;
  tunStatus(tun: TunHandle, out: Int32Array): string | undefined;
  tunWasPersistent(tun: TunHandle): boolean;
  tunPersist(tun: TunHandle, on: number): void;
  tunCounters(tun: TunHandle): TunCounters;
  tunFail(tun: TunHandle, what: number, errno: number, count: number): void;
  tunClose(tun: TunHandle): void;
  udpOpen(port: number, mark: number, offloads: number): UdpHandle;
  udpAdopt(descriptors: Int32Array, offloads: number): UdpHandle;
  udpInfo(udp: UdpHandle): UdpInfo;
  udpReceive(
    udp: UdpHandle,
    sockets: number,
    most: number,
    slab: Uint8Array,
    desc: Int32Array,
    endpoints: Uint8Array,
  ): number;
  udpSend(udp: UdpHandle, slab: Uint8Array, desc: Int32Array, endpoints: Uint8Array, count: number): number;
  udpSetMark(udp: UdpHandle, mark: number): void;
  udpSetBuffers(udp: UdpHandle, bytes: number): void;
  udpRetry(udp: UdpHandle): void;
  udpFail(udp: UdpHandle, what: number, errno: number, count: number): void;
  udpClose(udp: UdpHandle): void;
}

/** Bits for noticesOpen and in the result of noticesDrain (native/notices.c). */
export const NOTICE_LINKS = 1;
export const NOTICE_ROUTES = 2;

export { addonPath };

let loaded: NativeBinding | undefined;
let loadedFrom: string | undefined;

/**
 * Returns the addon, and loads it on the first call.
 * @throws Error with a remedy if the addon is missing or cannot be loaded
 */
export function nativeBinding(): NativeBinding {
  if (loaded) return loaded;
  if (isExecutable) {
    loaded = embeddedBinding<NativeBinding>();
    return loaded;
  }
  const first = addonPath();
  const problems: string[] = [];
  // a copied folder may contain another machine's build; the prebuilt addon has the same version
  for (const path of addonPaths().filter(path => path === first || existsSync(path))) {
    try {
      loaded = createRequire(import.meta.url)(path) as NativeBinding;
      loadedFrom = path;
      return loaded;
    } catch (error) {
      problems.push((error as Error).message);
    }
  }
  throw new Error(
    `the native addon cannot be loaded (${problems.join('; ')}); install a C compiler (apt-get install gcc libc6-dev) and build it: WGTS_REBUILD=1 npm rebuild wireguard-ts (in a clone: WGTS_REBUILD=1 npm run build)`,
  );
}

/** Returns the file that nativeBinding() has loaded. */
export function loadedAddon(): string | undefined {
  return loadedFrom;
}

/** Reports whether nativeBinding() works. */
export function hasNativeBinding(): boolean {
  try {
    nativeBinding();
    return true;
  } catch {
    return false;
  }
}
