/**
 * A pair of UDP sockets through the addon (native/udp*.c): batches with recvmmsg and sendmmsg, UDP_GRO and UDP_SEGMENT, the local
 * address kept (PKTINFO), SO_MARK.
 */
import { type DatagramBatch, MAX_BATCH } from '../packet/batch.ts';
import { type NativeBinding, NOTICE_ROUTES, type PollHandle, type UdpHandle } from './native-binding.ts';
import type { Udp } from './ports.ts';

export const UDP_OFFLOADS = { gso: 1, gro: 2 } as const;
export const ALL_UDP_OFFLOADS = 3;

/** The sockets of a pair, for udpReceive. */
const IPV4 = 1;
const IPV6 = 2;

/** @throws Error with `code` (EADDRINUSE, EACCES, EPERM, ...) that names the port */
export function openNativeUdp(
  binding: NativeBinding,
  port: number,
  mark: number,
  offloads = ALL_UDP_OFFLOADS,
): NativeUdp {
  try {
    return new NativeUdp(binding, binding.udpOpen(port, mark, offloads));
  } catch (error) {
    throw Object.assign(error as Error, { message: `UDP port ${port}: ${(error as Error).message}` });
  }
}

export class NativeUdp implements Udp {
  readonly port: number;
  readonly #binding: NativeBinding;
  readonly #handle: UdpHandle;
  #polls: PollHandle[] = [];
  /** The sockets that were readable since the last receive(). */
  #woken = 0;
  #noticesFd = -1;
  #notices: PollHandle | undefined;
  #closed = false;

  constructor(binding: NativeBinding, handle: UdpHandle) {
    this.#binding = binding;
    this.#handle = handle;
    this.port = binding.udpInfo(handle).port;
  }

  get offloads(): readonly string[] {
    const { offloads } = this.#binding.udpInfo(this.#handle);
    return Object.entries(UDP_OFFLOADS).flatMap(([name, bit]) => (offloads & bit ? [name] : []));
  }

  receive(batch: DatagramBatch, most = MAX_BATCH): number {
    // without a word from the loop, both
    const sockets = this.#woken || IPV4 | IPV6;
    this.#woken = 0;
    batch.count = this.#binding.udpReceive(this.#handle, sockets, most, batch.slab, batch.desc, batch.endpoints);
    return batch.count;
  }

  send(batch: DatagramBatch): number {
    return this.#binding.udpSend(this.#handle, batch.slab, batch.desc, batch.endpoints, batch.count);
  }

  setMark(mark: number): void {
    this.#binding.udpSetMark(this.#handle, mark);
  }

  onReadable(callback: () => void): void {
    this.#stopReading();
    if (this.#closed) return;
    const { fd4, fd6 } = this.#binding.udpInfo(this.#handle);
    if (fd4 >= 0) this.#polls.push(this.#wakeBy(fd4, IPV4, callback));
    if (fd6 >= 0) this.#polls.push(this.#wakeBy(fd6, IPV6, callback));
  }

  onRoutesChanged(callback: () => void): void {
    this.#stopNotices();
    if (this.#closed) return;
    const fd = this.#binding.noticesOpen(NOTICE_ROUTES);
    this.#noticesFd = fd;
    this.#notices = this.#binding.pollStart(fd, () => {
      if (this.#binding.noticesDrain(fd) !== 0) callback();
    });
  }

  counters(): Readonly<Record<string, number>> {
    const { gsoFailed, gsoDisabled, localDropped, blocked, truncated } = this.#binding.udpInfo(this.#handle);
    return { gsoFailed, gsoDisabled, localDropped, blocked, truncated };
  }

  close(): void {
    if (this.#closed) return;
    this.#closed = true;
    this.#stopReading();
    this.#stopNotices();
    this.#binding.udpClose(this.#handle);
  }

  /** For tests: the next `count` sends of a kind fail with this errno. */
  fail(what: 'gso' | 'local' | 'any', errno: number, count: number): void {
    this.#binding.udpFail(this.#handle, { gso: 1, local: 2, any: 3 }[what], errno, count);
  }

  #wakeBy(fd: number, socket: number, callback: () => void): PollHandle {
    return this.#binding.pollStart(fd, () => {
      this.#woken |= socket;
      callback();
    });
  }

  #stopReading(): void {
    for (const poll of this.#polls) this.#binding.pollStop(poll);
    this.#polls = [];
  }

  #stopNotices(): void {
    if (!this.#notices) return;
    this.#binding.pollStop(this.#notices);
    this.#binding.noticesClose(this.#noticesFd);
    this.#notices = undefined;
  }
}
