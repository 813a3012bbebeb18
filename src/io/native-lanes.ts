/** Lanes of the addon (native/lanes-node.c), for devices of the addon. */
import type { DatagramBatch, PacketBatch } from '../packet/batch.ts';
import { type Lanes, type LanesDone, noneDone } from './lanes.ts';
import type { LanesHandle, NativeBinding, PollHandle } from './native-binding.ts';
import type { NativeCipher } from './native-cipher.ts';
import type { Tun, Udp } from './ports.ts';
import { NativeTun } from './tun.ts';
import { NativeUdp } from './udp.ts';

/** Numbers that lanesDone writes. */
const [SEALED, OPENED, WRITTEN, SEND_ERRORS, DROPPED, REFUSED, GONE, DONE_SIZE] = [0, 1, 2, 3, 4, 5, 6, 7];

export class NativeLanes implements Lanes {
  readonly threads: number;
  /** Kept, because the addon closes the lanes of a cipher that is collected. */
  readonly cipher: NativeCipher;
  readonly #binding: NativeBinding;
  readonly #handle: LanesHandle;
  readonly #numbers = new Int32Array(DONE_SIZE);
  readonly #done = noneDone();
  #poll: PollHandle | undefined;
  #closed = false;

  /**
   * Makes lanes that use the keys of a cipher, which has none yet. The threads start with the first
   * batch.
   * @throws Error with `code` (EEXIST, ENOMEM)
   */
  constructor(binding: NativeBinding, cipher: NativeCipher, threads: number) {
    this.#binding = binding;
    this.threads = threads;
    this.cipher = cipher;
    this.#handle = binding.lanesOpen(cipher.handle, threads);
  }

  seal(udp: Udp | undefined, input: Uint8Array, jobs: Int32Array, count: number, output: DatagramBatch): boolean {
    const { slab, desc, endpoints } = output;
    const handle = udp === undefined ? undefined : udpOf(udp).handle;
    return this.#binding.lanesSeal(this.#handle, handle, input, jobs, count, slab, desc, endpoints, output.count);
  }

  open(slab: Uint8Array, jobs: Int32Array, count: number): boolean {
    return this.#binding.lanesUnseal(this.#handle, slab, jobs, count);
  }

  write(tun: Tun, batch: PacketBatch): boolean {
    return this.#binding.lanesWrite(this.#handle, tunOf(tun).handle, batch.slab, batch.desc, batch.count);
  }

  help(): boolean {
    return this.#binding.lanesHelp(this.#handle);
  }

  done(): LanesDone {
    const [numbers, done] = [this.#numbers, this.#done];
    this.#binding.lanesDone(this.#handle, numbers);
    done.sealed = numbers[SEALED]!;
    done.opened = numbers[OPENED]!;
    done.written = numbers[WRITTEN]!;
    done.sendErrors = numbers[SEND_ERRORS]!;
    done.dropped = numbers[DROPPED]!;
    done.refused = numbers[REFUSED]!;
    done.gone = numbers[GONE] !== 0;
    return done;
  }

  next(): void {
    this.#binding.lanesNext(this.#handle);
  }

  watch(): boolean {
    return this.#binding.lanesWatch(this.#handle);
  }

  onOpened(callback: () => void): void {
    if (this.#closed) return;
    this.#stop();
    this.#poll = this.#binding.pollStart(this.#binding.lanesFd(this.#handle), () => {
      // makes the descriptor unreadable
      this.#binding.lanesWatch(this.#handle);
      callback();
    });
  }

  times(out: Float64Array): void {
    this.#binding.lanesTimes(this.#handle, out);
  }

  close(): void {
    if (this.#closed) return;
    this.#closed = true;
    this.#stop();
    this.#binding.lanesClose(this.#handle);
  }

  #stop(): void {
    if (this.#poll) this.#binding.pollStop(this.#poll);
    this.#poll = undefined;
  }
}

function udpOf(udp: Udp): NativeUdp {
  if (udp instanceof NativeUdp) return udp;
  throw new TypeError('lanes send by sockets of the addon only');
}

function tunOf(tun: Tun): NativeTun {
  if (tun instanceof NativeTun) return tun;
  throw new TypeError('lanes write to a TUN of the addon only');
}
