/**
 * A Linux TUN device through the addon (native/tun*.c). rtnetlink reports changes of its state,
 * except a move to another network namespace; a periodic check finds that.
 */
import { MAX_BATCH, PACKET_STRIDE, type PacketBatch } from '../packet/batch.ts';
import { Coalescer, MERGE_TCP4, MERGE_TCP6, MERGE_UDP } from '../packet/coalesce.ts';
import {
  type NativeBinding,
  NOTICE_LINKS,
  NOTICE_ROUTES,
  type NoticesHandle,
  type PollHandle,
  type TunHandle,
} from './native-binding.ts';
import type { GivenTun, Tun, TunStatus, Wake } from './ports.ts';

/**
 * Offloads of a TUN. `udptnl`: super-packets inside UDP tunnels such as VXLAN and Geneve, which the
 * kernel passes to us to be split (Linux 6.17).
 */
export const TUN_OFFLOADS = { csum: 1, tso4: 2, tso6: 4, uso: 8, udptnl: 32 } as const;
export const ALL_TUN_OFFLOADS = 47;
/** All with which the kernel's vnet header is that of a slab: it can be written as it was read. */
export const SLAB_HEADER_OFFLOADS = ALL_TUN_OFFLOADS & ~TUN_OFFLOADS.udptnl;
/** Added to TUN_OFFLOADS: never merges UDP packets for writing, but still reads super-packets. */
export const TUN_SINGLE_UDP = 16;

/** The most packets that tunWriteGroups accepts in one call (native/tun-write.c). */
const TWIN_BATCH = 1024;
/** Numbers that tunKept writes (native/tun.c). */
const KEPT_SIZE = 4;
const LOOK_INTERVAL_MS = 1000;
/** Where a device is (native/tun.h). */
const [HIDDEN, AWAY, HOME] = [-1, 0, 1];
/** The interval of status checks while the device is in another namespace, and is seen there. */
const NAMESPACE_CHECK_MS = 200;

export interface TunOptions {
  readonly binding: NativeBinding;
  /** Name of the interface; may be a pattern (`wg%d`). */
  readonly name: string;
  /** The descriptor of an open TUN device to adopt; on success the Tun owns it. */
  readonly adopt?: number | undefined;
  /** Offloads to request from the kernel (TUN_OFFLOADS, TUN_SINGLE_UDP); default: all. */
  readonly offloads?: number;
  /** MTU to set on opening; 0 keeps it. */
  readonly mtu: number;
  /** Whether to merge with the TypeScript twin instead of the addon. */
  readonly twin?: boolean;
}

/** Opens a TUN device. @throws Error with `code` (EPERM, ENOENT, EBUSY, ...) */
export function openTun(options: TunOptions): NativeTun {
  const { binding, name, adopt = -1, offloads = ALL_TUN_OFFLOADS, mtu } = options;
  const handle = binding.tunOpen(name, adopt, offloads, mtu);
  return new NativeTun(binding, handle, options.twin ?? false);
}

/**
 * Goes on with a TUN device that another process ran until now.
 * @param given its descriptor, which the Tun owns on success
 * @throws Error with `code` if it is not an open TUN device
 */
export function adoptTun(options: Pick<TunOptions, 'binding' | 'offloads' | 'twin'>, given: GivenTun): NativeTun {
  const { binding, offloads = ALL_TUN_OFFLOADS, twin = false } = options;
  return new NativeTun(binding, binding.tunAdopt(given.descriptor, offloads, given.kept), twin);
}

export class NativeTun implements Tun {
  readonly offloads: readonly string[];
  readonly wasPersistent: boolean;
  readonly #binding: NativeBinding;
  readonly #handle: TunHandle;
  readonly #twin: boolean;
  readonly #allowed: number;
  #coalescer: Coalescer | undefined;
  readonly #status = new Int32Array(3);
  #reading: PollHandle | undefined;
  #notices: NoticesHandle | undefined;
  #noticing: PollHandle | undefined;
  #look: NodeJS.Timeout | undefined;
  #place = HOME;
  /** The last result of #status. */
  #seen = '';
  #closed = false;

  constructor(binding: NativeBinding, handle: TunHandle, twin: boolean) {
    this.#binding = binding;
    this.#handle = handle;
    const granted = binding.tunCounters(handle).offloads;
    this.offloads = Object.entries(TUN_OFFLOADS).flatMap(([name, bit]) => (granted & bit ? [name] : []));
    this.wasPersistent = binding.tunWasPersistent(handle);
    this.#twin = twin;
    this.#allowed = mergeable(granted);
  }

  /** For lanes (native-lanes.ts). */
  get handle(): TunHandle {
    return this.#handle;
  }

  /** The descriptor, which the Tun keeps owning; -1 once closed. */
  get fd(): number {
    return this.#binding.tunFd(this.#handle);
  }

  read(batch: PacketBatch, most = MAX_BATCH): number {
    const count = this.#binding.tunRead(this.#handle, batch.slab, batch.desc, most);
    batch.count = Math.max(count, 0);
    return count;
  }

  write(batch: PacketBatch): number {
    if (!this.#twin) return this.#binding.tunWrite(this.#handle, batch.slab, batch.desc, batch.count);
    let dropped = 0;
    for (let from = 0; from < batch.count; from += TWIN_BATCH) {
      const lost = this.#writeByTwin(batch, from, Math.min(batch.count - from, TWIN_BATCH));
      if (lost < 0) return lost;
      dropped += lost;
    }
    return dropped;
  }

  status(): TunStatus | undefined {
    const name = this.#binding.tunStatus(this.#handle, this.#status);
    if (name === undefined) return undefined;
    this.#place = this.#status[2]!;
    const seen = this.#status.join();
    if (seen !== this.#seen) this.networkChanged();
    this.#seen = seen;
    return { up: this.#status[0] === 1, mtu: this.#status[1]!, name, isHidden: this.#place === HIDDEN };
  }

  /**
   * Ends pauses of merging that too many refusals caused. Call it when links, addresses or routes
   * have changed.
   */
  networkChanged(): void {
    if (!this.#closed) this.#binding.tunRetry(this.#handle);
  }

  onReadable(callback: Wake): void {
    this.#stopReading();
    if (!this.#closed) this.#reading = this.#binding.pollStart(this.fd, callback);
  }

  onStatus(callback: () => void): void {
    this.#stopChecking();
    if (this.#closed) return;
    const notices = this.#binding.noticesOpen(NOTICE_LINKS | NOTICE_ROUTES);
    this.#notices = notices;
    this.#noticing = this.#binding.pollStart(this.#binding.noticesFd(notices), () => {
      const what = this.#binding.noticesDrain(notices);
      if (what !== 0) this.networkChanged();
      if (what & NOTICE_LINKS) callback();
    });
    const look = () => {
      callback();
      if (!this.#closed) this.#look = setTimeout(look, this.#place === AWAY ? NAMESPACE_CHECK_MS : LOOK_INTERVAL_MS);
    };
    this.#look = setTimeout(look, LOOK_INTERVAL_MS);
  }

  persist(on: boolean): void {
    this.#binding.tunPersist(this.#handle, on ? 1 : 0);
  }

  pause(): void {
    this.#stopReading();
    this.#stopChecking();
  }

  given(): GivenTun {
    const kept = new Int32Array(KEPT_SIZE);
    this.#binding.tunKept(this.#handle, kept);
    return { descriptor: this.fd, kept };
  }

  counters(): Readonly<Record<string, number>> {
    const { merged, unmerged, paused, refused, malformed } = this.#binding.tunCounters(this.#handle);
    return { merged, unmerged, paused, refused, malformed };
  }

  close(): void {
    if (this.#closed) return;
    this.#closed = true;
    this.pause();
    this.#binding.tunClose(this.#handle);
  }

  /** For tests: makes the next `count` merged writes fail with this errno. */
  failMerged(errno: number, count: number): void {
    this.#binding.tunFail(this.#handle, 1, errno, count);
  }

  #writeByTwin({ slab, desc }: PacketBatch, from: number, count: number): number {
    this.#coalescer ??= new Coalescer(TWIN_BATCH);
    const part = from === 0 ? desc : desc.subarray(from * PACKET_STRIDE);
    const made = this.#coalescer.merge(slab, part, count, this.#allowed);
    const { groups, next } = this.#coalescer;
    return this.#binding.tunWriteGroups(this.#handle, slab, part, count, groups, next, made);
  }

  #stopReading(): void {
    if (this.#reading) this.#binding.pollStop(this.#reading);
    this.#reading = undefined;
  }

  #stopChecking(): void {
    clearTimeout(this.#look);
    if (this.#noticing) this.#binding.pollStop(this.#noticing);
    if (this.#notices) this.#binding.noticesClose(this.#notices);
    this.#noticing = this.#notices = undefined;
  }
}

function mergeable(granted: number): number {
  const { tso4, tso6, uso } = TUN_OFFLOADS;
  const udp = (granted & uso) !== 0 && (granted & TUN_SINGLE_UDP) === 0;
  return (granted & tso4 ? MERGE_TCP4 : 0) | (granted & tso6 ? MERGE_TCP6 : 0) | (udp ? MERGE_UDP : 0);
}
