/**
 * The path of a packet, run through before there is one. V8 compiles a function well only after some thousands of calls, and a tunnel
 * that carries a ping now and then gets there late: measured, its round trips are up to a third longer until then. So two devices that
 * are nobody's, joined in memory, shake hands, hand each other small packets, and say who their peers are: a
 * millisecond at a time, while nothing passes through the real one and nobody asks it anything.
 */
import { makeEndpoint } from '../base/endpoint.ts';
import { makePrefix } from '../base/prefix.ts';
import { formatGetResponse } from '../config/uapi-get.ts';
import type { CryptoProvider } from '../crypto/provider.ts';
import type { Tun, TunStatus, Udp, Wake } from '../io/ports.ts';
import {
  DATAGRAM_LENGTH,
  DATAGRAM_OFFSET,
  DATAGRAM_STRIDE,
  type DatagramBatch,
  PACKET_LENGTH,
  PACKET_OFFSET,
  type PacketBatch,
  VNET_HEADER_SIZE,
} from '../packet/batch.ts';
import { Engine } from '../protocol/engine.ts';
import type { TransportCipher } from '../protocol/transport-cipher.ts';
import { DeviceLoop } from './device-loop.ts';
import type { Log } from './log.ts';

export interface WarmUpOptions {
  readonly crypto: CryptoProvider;
  /** A cipher of the kind that will be used; asked for twice. */
  readonly makeCipher: () => TransportCipher;
  readonly random: (bytes: Uint8Array) => void;
  readonly wall: () => bigint;
  readonly log: Log;
}

export interface LaterOptions extends WarmUpOptions {
  /** Milliseconds since the real device had a packet, or its control socket a client to answer. */
  quietFor(): number;
}

/** Whoever makes many devices, or one for a moment, does not wait for this. */
const DELAY_MS = 1000;
/** Sessions, and round trips in each. Measured: more of either change nothing. */
const SESSIONS = 4;
const ROUND_TRIPS = 800;
/** Milliseconds of work at a time, and of rest; and without a packet, before there is any. */
const SLICE_MS = 1;
const REST_MS = 1;
const BUSY_PAUSE_MS = 100;
/** Answers to `wg show`, which of a device with thousands of peers takes half the time then. */
const ANSWERS = 100;
const CROWD = 40;
/** Milliseconds between sessions: the one before is too old by then. */
const BETWEEN_SESSIONS_MS = 200_000;
/** And between pings, so that each comes after a silence. */
const BETWEEN_PINGS_MS = 2;
const OUTPUT_BYTES = 1 << 18;
const PACKET_SIZE = 84;
const PORT = 51820;
const ENDPOINT = makeEndpoint(Uint8Array.of(192, 0, 2, 1), PORT);

/** As many packets arrive, in both directions together, if all is well. */
export const WARM_UP_PACKETS = 2 * SESSIONS * ROUND_TRIPS;

/** Begins when the device has had its first second. @returns what stops it */
export function warmUpLater(options: LaterOptions): () => void {
  const work = warmUp(options);
  const step = () => {
    try {
      const isQuiet = options.quietFor() >= BUSY_PAUSE_MS;
      if (isQuiet)
        for (const end = performance.now() + SLICE_MS; performance.now() < end; ) if (work.next().done) return;
      next = setTimeout(step, isQuiet ? REST_MS : BUSY_PAUSE_MS).unref();
    } catch (error) {
      // the device does without
      options.log.verbose(`warming up: ${(error as Error).message}`);
    }
  };
  let next = setTimeout(step, DELAY_MS).unref();
  return () => {
    clearTimeout(next);
    work.return(0);
  };
}

/**
 * Yields after each round trip or the like. The devices are closed at the end, also where whoever iterates leaves early.
 * @returns how many packets arrived
 */
export function* warmUp(options: WarmUpOptions): Generator<undefined, number> {
  const time = { now: 1 };
  const [a, b] = [new Side(options, time), new Side(options, time)];
  a.meet(b);
  b.meet(a);
  const pings = [packet4(), packet6()];
  try {
    for (let session = 0; session < SESSIONS; session++, time.now += BETWEEN_SESSIONS_MS) {
      for (let trip = 0; trip < ROUND_TRIPS; trip++, time.now += BETWEEN_PINGS_MS) {
        for (const [from, to] of [
          [a, b],
          [b, a],
        ] as const) {
          from.tun.say(pings[trip & 1]!);
          // the first of a session waits for initiation and response
          while (to.udp.deliver() || from.udp.deliver());
        }
        yield;
      }
    }
    for (let n = 0; n < CROWD; n++) {
      a.know(n, options.random);
      yield;
    }
    for (let answer = 0; answer < ANSWERS; answer++) {
      formatGetResponse(a.loop.status());
      yield;
    }
  } finally {
    a.loop.close();
    b.loop.close();
  }
  return a.tun.written + b.tun.written;
}

/** Milliseconds, which pass between pings alone: as on a tunnel where nothing else happens, the event loop waits all that time. */
interface Time {
  readonly now: number;
}

/** A device whose host and network are a few lines. */
class Side {
  readonly tun: QuietTun;
  readonly udp: Wire;
  readonly loop: DeviceLoop;
  readonly #publicKey: Uint8Array;

  constructor({ crypto, makeCipher, random, wall, log }: WarmUpOptions, time: Time) {
    this.tun = new QuietTun(time);
    this.udp = new Wire(time);
    const privateKey = new Uint8Array(32);
    random(privateKey);
    this.#publicKey = crypto.publicKey(privateKey);
    this.loop = new DeviceLoop({
      engine: new Engine({ crypto, cipher: makeCipher(), random, wall, outputBytes: OUTPUT_BYTES }),
      tun: this.tun,
      openUdp: () => this.udp,
      clock: { now: () => time.now, wall },
      log: { verbose: () => {}, error: text => log.error(text) },
      onGone: () => {},
    });
    this.loop.start();
    this.loop.configure({ privateKey });
  }

  meet(other: Side): void {
    this.udp.other = other.udp;
    const allowedIps = [new Uint8Array(4), new Uint8Array(16)].map(any => ({ prefix: makePrefix(any, 0) }));
    this.loop.configure({ peers: [{ publicKey: other.#publicKey, endpoint: ENDPOINT, allowedIps }] });
  }

  /** A peer that it will never hear of. */
  know(number: number, random: (bytes: Uint8Array) => void): void {
    const publicKey = new Uint8Array(32);
    random(publicKey);
    const allowedIps = [
      { prefix: makePrefix(Uint8Array.of(192, 0, 2, number), 32) },
      { prefix: makePrefix(Uint8Array.of(198, 51, 100, 4 * number), 30) },
      { prefix: makePrefix(Uint8Array.of(0x20, 0x01, 0x0d, 0xb8, 0, 0, 0, number, 0, 0, 0, 0, 0, 0, 0, 0), 64) },
    ];
    this.loop.configure({ peers: [{ publicKey, endpoint: ENDPOINT, allowedIps }] });
  }
}

class QuietTun implements Tun {
  readonly offloads: readonly string[] = [];
  written = 0;
  #next: Uint8Array | undefined;
  #wake: Wake = () => {};
  readonly #time: Time;

  constructor(time: Time) {
    this.#time = time;
  }

  say(packet: Uint8Array): void {
    this.#next = packet;
    this.#wake(this.#time.now);
  }

  read(batch: PacketBatch): number {
    batch.count = 0;
    if (!this.#next) return 0;
    // as a TUN gives it, behind an empty vnet header
    batch.slab.fill(0, 0, VNET_HEADER_SIZE);
    batch.slab.set(this.#next, VNET_HEADER_SIZE);
    batch.desc[PACKET_OFFSET] = 0;
    batch.desc[PACKET_LENGTH] = VNET_HEADER_SIZE + this.#next.length;
    batch.count = 1;
    this.#next = undefined;
    return 1;
  }

  write(batch: PacketBatch): number {
    this.written += batch.count;
    return 0;
  }

  status(): TunStatus {
    return { up: true, mtu: 1420, name: 'none' };
  }

  onReadable(callback: Wake): void {
    this.#wake = callback;
  }

  onStatus(): void {}

  counters(): Readonly<Record<string, number>> {
    return {};
  }

  close(): void {}
}

class Wire implements Udp {
  readonly offloads: readonly string[] = [];
  readonly port = PORT;
  other: Wire = this;
  readonly #mail: Uint8Array[] = [];
  #wake: Wake = () => {};
  readonly #time: Time;

  constructor(time: Time) {
    this.#time = time;
  }

  /** @returns whether there was anything */
  deliver(): boolean {
    if (this.#mail.length === 0) return false;
    this.#wake(this.#time.now);
    return true;
  }

  receive(batch: DatagramBatch): number {
    const bytes = this.#mail.shift();
    batch.count = bytes ? 1 : 0;
    if (!bytes) return 0;
    batch.slab.set(bytes);
    batch.endpoints.set(ENDPOINT);
    batch.desc.set([0, bytes.length, 0, 0, 0]);
    return 1;
  }

  receiveHandshakes(batch: DatagramBatch): number {
    batch.count = 0;
    return 0;
  }

  send({ slab, desc, count }: DatagramBatch): number {
    for (let i = 0; i < count; i++) {
      const offset = desc[i * DATAGRAM_STRIDE + DATAGRAM_OFFSET]!;
      this.other.#mail.push(slab.slice(offset, offset + desc[i * DATAGRAM_STRIDE + DATAGRAM_LENGTH]!));
    }
    return 0;
  }

  setMark(): void {}

  onReadable(callback: Wake): void {
    this.#wake = callback;
  }

  onHandshakes(): void {}

  onRoutesChanged(): void {}

  counters(): Readonly<Record<string, number>> {
    return {};
  }

  close(): void {}
}

/** Only what an engine looks at: version, length, addresses (documentation's own, RFC 5737 and RFC 3849). */
function packet4(): Uint8Array {
  const packet = new Uint8Array(PACKET_SIZE);
  packet.set([0x45, 0, 0, PACKET_SIZE]);
  packet.set([192, 0, 2, 1, 192, 0, 2, 2], 12);
  return packet;
}

function packet6(): Uint8Array {
  const packet = new Uint8Array(PACKET_SIZE);
  packet.set([0x60, 0, 0, 0, 0, PACKET_SIZE - 40]);
  for (const at of [8, 24]) packet.set([0x20, 0x01, 0x0d, 0xb8], at);
  return packet;
}
