/**
 * The kernel's netlink through the addon (native/netlink.c). Like every socket, an open channel
 * keeps the process alive.
 */
import { constants } from 'node:os';
import type { NetlinkChannel, NetlinkPort, NetlinkReceiver } from '../netlink/port.ts';
import { type NativeBinding, type NetlinkHandle, nativeBinding, type PollHandle } from './native-binding.ts';

const SLAB_SIZE = 256 * 1024;
const DATAGRAMS = 64;
const STRIDE = 2;
/** Limit of messages read in one turn of the loop, for a reader that has fallen behind. */
const ROUNDS = 64;
const { ENOBUFS, EMSGSIZE } = constants.errno;

export function nativeNetlink(binding: NativeBinding): NetlinkPort {
  return { open: (protocol, groups, receiver) => new NativeChannel(binding, protocol, groups, receiver) };
}

/**
 * Netlink sockets of this machine, through the addon. The first socket that opens loads the addon;
 * if that fails, opening it throws.
 */
export const systemNetlink: NetlinkPort = {
  open: (protocol, groups, receiver) => nativeNetlink(nativeBinding()).open(protocol, groups, receiver),
};

class NativeChannel implements NetlinkChannel {
  readonly #binding: NativeBinding;
  readonly #handle: NetlinkHandle;
  readonly #receiver: NetlinkReceiver;
  readonly #slab = new Uint8Array(SLAB_SIZE);
  readonly #desc = new Int32Array(DATAGRAMS * STRIDE);
  #poll: PollHandle | undefined;
  /**
   * The receive buffer overflowed (ENOBUFS) and listeners have not been notified. Until the queue
   * is drained, the kernel drops further messages without another report, so a resync must come
   * after that.
   */
  #behind = false;

  constructor(binding: NativeBinding, protocol: number, groups: readonly number[], receiver: NetlinkReceiver) {
    this.#binding = binding;
    this.#receiver = receiver;
    this.#handle = binding.netlinkOpen(protocol, Int32Array.from(groups));
    this.#poll = binding.pollStart(binding.netlinkFd(this.#handle), () => this.#receive());
  }

  send(bytes: Uint8Array): void {
    this.#binding.netlinkSend(this.#handle, bytes);
  }

  close(): void {
    if (!this.#poll) return;
    this.#binding.pollStop(this.#poll);
    this.#poll = undefined;
    this.#binding.netlinkClose(this.#handle);
  }

  #receive(): void {
    for (let round = 0; round < ROUNDS && this.#poll; round++) {
      const count = this.#receiveBatch();
      if (count === 0 && this.#behind) {
        this.#behind = false;
        this.#receiver.lost();
      }
      if (count === 0 || !this.#behind) return;
    }
  }

  #receiveBatch(): number {
    const count = this.#binding.netlinkReceive(this.#handle, this.#slab, this.#desc);
    for (let i = 0; i < count && this.#poll; i++) {
      const [at, length] = [this.#desc[STRIDE * i]!, this.#desc[STRIDE * i + 1]!];
      if (length >= 0) {
        const datagram = this.#slab.slice(at, at + length);
        // the keys of a device pass through this buffer
        this.#slab.fill(0, at, at + length);
        this.#receiver.datagram(datagram);
      } else if (length === -ENOBUFS || length === -EMSGSIZE) this.#behind = true;
      else {
        this.close();
        this.#receiver.failed(Object.assign(new Error(`recvfrom: errno ${-length}`), { errno: -length }));
      }
    }
    return count;
  }
}
