/**
 * UDP sockets through the addon (native/udp*.c), for IPv4 and IPv6: batches with recvmmsg and
 * sendmmsg, UDP_GRO and UDP_SEGMENT, the local address of each endpoint (PKTINFO), SO_MARK, and
 * separate sockets for handshakes.
 */
import { type DatagramBatch, MAX_BATCH } from '../packet/batch.ts';
import {
  type NativeBinding,
  NOTICE_LINKS,
  NOTICE_ROUTES,
  type NoticesHandle,
  type PollHandle,
  type UdpHandle,
} from './native-binding.ts';
import type { Udp, Wake } from './ports.ts';

export const UDP_OFFLOADS = { gso: 1, gro: 2, steer: 4 } as const;
export const ALL_UDP_OFFLOADS = 7;

/** The sockets for udpReceive: data sockets of both families, and their handshake sockets. */
const IPV4 = 1;
const IPV6 = 2;
const HANDSHAKES4 = 4;
const HANDSHAKES6 = 8;

/**
 * Opens the sockets.
 * @throws Error with `code` (EADDRINUSE, EACCES, EPERM, ...), whose message names the port
 */
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

/**
 * Goes on with sockets that another process opened.
 * @param descriptors as from {@link Udp.given}; on success the Udp owns them
 * @throws Error with `code` if one of them is not such a socket
 */
export function adoptNativeUdp(
  binding: NativeBinding,
  descriptors: Int32Array,
  offloads = ALL_UDP_OFFLOADS,
): NativeUdp {
  return new NativeUdp(binding, binding.udpAdopt(descriptors, offloads));
}

export class NativeUdp implements Udp {
  readonly port: number;
  readonly #binding: NativeBinding;
  readonly #handle: UdpHandle;
  readonly #polls: PollHandle[] = [];
  readonly #handshakePolls: PollHandle[] = [];
  /** The sockets that have become readable since the last read. */
  #woken = 0;
  #handshakesWoken = 0;
  #notices: NoticesHandle | undefined;
  #noticing: PollHandle | undefined;
  #closed = false;

  constructor(binding: NativeBinding, handle: UdpHandle) {
    this.#binding = binding;
    this.#handle = handle;
    this.port = binding.udpInfo(handle).port;
  }

  /** For lanes (native-lanes.ts). */
  get handle(): UdpHandle {
    return this.#handle;
  }

  get offloads(): readonly string[] {
    const { offloads } = this.#binding.udpInfo(this.#handle);
    return Object.entries(UDP_OFFLOADS).flatMap(([name, bit]) => (offloads & bit ? [name] : []));
  }

  receive(batch: DatagramBatch, most = MAX_BATCH): number {
    // if the loop reported neither socket, read both
    const sockets = this.#woken || IPV4 | IPV6;
    this.#woken = 0;
    batch.count = this.#binding.udpReceive(this.#handle, sockets, most, batch.slab, batch.desc, batch.endpoints);
    return batch.count;
  }

  receiveHandshakes(batch: DatagramBatch): number {
    const sockets = this.#handshakesWoken;
    batch.count =
      sockets === 0
        ? 0
        : this.#binding.udpReceive(this.#handle, sockets, MAX_BATCH, batch.slab, batch.desc, batch.endpoints);
    // unread handshakes wake the loop again
    if (batch.count === 0) this.#handshakesWoken = 0;
    return batch.count;
  }

  send(batch: DatagramBatch): number {
    return this.#binding.udpSend(this.#handle, batch.slab, batch.desc, batch.endpoints, batch.count);
  }

  setMark(mark: number): void {
    this.#binding.udpSetMark(this.#handle, mark);
  }

  setBuffers(bytes: number): void {
    if (!this.#closed) this.#binding.udpSetBuffers(this.#handle, bytes);
  }

  onReadable(callback: Wake): void {
    this.#stop(this.#polls);
    if (this.#closed) return;
    const { fd4, fd6 } = this.#binding.udpInfo(this.#handle);
    const wakeBy = (fd: number, socket: number): void => {
      const woken: Wake = waited => {
        this.#woken |= socket;
        return callback(waited);
      };
      if (fd >= 0) this.#polls.push(this.#binding.pollStart(fd, woken));
    };
    wakeBy(fd4, IPV4);
    wakeBy(fd6, IPV6);
  }

  onHandshakes(callback: () => void): void {
    this.#stop(this.#handshakePolls);
    if (this.#closed) return;
    const { handshakes4, handshakes6 } = this.#binding.udpInfo(this.#handle);
    const wakeBy = (fd: number, socket: number): void => {
      const woken = (): void => {
        this.#handshakesWoken |= socket;
        callback();
      };
      if (fd >= 0) this.#handshakePolls.push(this.#binding.pollStart(fd, woken));
    };
    wakeBy(handshakes4, HANDSHAKES4);
    wakeBy(handshakes6, HANDSHAKES6);
  }

  onRoutesChanged(callback: () => void): void {
    this.#stopNotices();
    if (this.#closed) return;
    const notices = this.#binding.noticesOpen(NOTICE_ROUTES | NOTICE_LINKS);
    this.#notices = notices;
    this.#noticing = this.#binding.pollStart(this.#binding.noticesFd(notices), () => {
      const what = this.#binding.noticesDrain(notices);
      // the new route may use a device that can segment, or have a different MTU
      if (what !== 0) this.networkChanged();
      if (what & NOTICE_ROUTES) callback();
    });
  }

  /** Enables UDP_SEGMENT again after it was disabled for too many refusals. */
  networkChanged(): void {
    if (!this.#closed) this.#binding.udpRetry(this.#handle);
  }

  pause(): void {
    this.#stop(this.#polls);
    this.#stop(this.#handshakePolls);
    this.#stopNotices();
    // read both sockets next: what woke us may be read only later
    this.#woken = 0;
  }

  given(): Int32Array {
    const { fd4, fd6, handshakes4, handshakes6 } = this.#binding.udpInfo(this.#handle);
    return Int32Array.of(fd4, fd6, handshakes4, handshakes6);
  }

  counters(): Readonly<Record<string, number>> {
    const { gsoFailed, gsoDisabled, gsoPaused, localDropped, blocked, truncated } = this.#binding.udpInfo(this.#handle);
    return { gsoFailed, gsoDisabled, gsoPaused, localDropped, blocked, truncated };
  }

  close(): void {
    if (this.#closed) return;
    this.#closed = true;
    this.pause();
    this.#binding.udpClose(this.#handle);
  }

  /** For tests: makes the next `count` sends of a kind fail with this errno. */
  fail(what: 'gso' | 'local' | 'any', errno: number, count: number): void {
    this.#binding.udpFail(this.#handle, { gso: 1, local: 2, any: 3 }[what], errno, count);
  }

  #stop(polls: PollHandle[]): void {
    for (const poll of polls.splice(0)) this.#binding.pollStop(poll);
  }

  #stopNotices(): void {
    if (this.#noticing) this.#binding.pollStop(this.#noticing);
    if (this.#notices) this.#binding.noticesClose(this.#notices);
    this.#noticing = this.#notices = undefined;
  }
}
