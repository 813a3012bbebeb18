/**
 * Runs the code path of a packet before the first packet. V8 compiles a function well only after
 * some thousands of calls. A tunnel that carries an occasional ping reaches that number late; until
 * then its round trips take up to a third longer (measured). So two devices of our own, connected
 * in memory, shake hands, exchange small packets and report their peers, a millisecond at a time,
 * while the real device and its control socket are idle.
 */
import { makeEndpoint } from '../base/endpoint.ts';
import { makePrefix } from '../base/prefix.ts';
import { formatGetResponse } from '../config/uapi-get.ts';
import type { CryptoProvider } from '../crypto/provider.ts';
import { MemoryTun } from '../io/memory/tun.ts';
import { MemoryNetwork } from '../io/memory/udp.ts';
import type { Wake } from '../io/ports.ts';
import { Engine } from '../protocol/engine.ts';
import type { TransportCipher } from '../protocol/transport-cipher.ts';
import { DeviceLoop } from './device-loop.ts';
import type { Log } from './log.ts';

export interface WarmUpOptions {
  readonly crypto: CryptoProvider;
  /** Returns a cipher of the kind that the real device uses. Called twice. */
  readonly makeCipher: () => TransportCipher;
  readonly random: (bytes: Uint8Array) => void;
  readonly wall: () => bigint;
  readonly log: Log;
}

interface LaterOptions extends WarmUpOptions {
  /**
   * Returns the milliseconds since the real device last handled a packet, or its control socket a
   * client.
   */
  quietFor(): number;
}

/**
 * The delay before the warm-up, so that a caller that makes many or short-lived devices does not
 * pay for it.
 */
const START_AFTER_MS = 1000;
/** Sessions, and round trips per session. Measured: more of either has no effect. */
const SESSIONS = 4;
const ROUND_TRIPS = 800;
/** One round trip of so many carries a burst of packets, so that the code for several runs too. */
const BURST_EVERY = 8;
const BURST = 4;
/**
 * In milliseconds: the work at a time, the rest after it, and the silence of the real device that
 * any work requires.
 */
const SLICE_MS = 1;
const REST_MS = 1;
const QUIET_MS = 100;
/**
 * Answers to `wg show`. They halve the time of a later answer of a device with thousands of peers.
 */
const ANSWERS = 100;
const CROWD = 40;
/** Time between sessions, so that the previous session has expired. */
const SESSION_PAUSE_MS = 200_000;
/** Time between pings, so that each follows a silence. */
const PING_PAUSE_MS = 2;
const OUTPUT_BYTES = 1 << 18;
const PACKET_SIZE = 84;
const PORT = 51820;
const ADDRESSES = [Uint8Array.of(192, 0, 2, 1), Uint8Array.of(192, 0, 2, 2)] as const;

/** The number of packets that arrive in both directions if all goes well. */
export const WARM_UP_PACKETS = 2 * SESSIONS * (ROUND_TRIPS + ((BURST - 1) * ROUND_TRIPS) / BURST_EVERY);

/**
 * Schedules the warm-up for one second after the start of the device.
 * @returns the function that stops it
 */
export function warmUpLater(options: LaterOptions): () => void {
  const work = warmUp(options);
  const step = () => {
    try {
      const isQuiet = options.quietFor() >= QUIET_MS;
      if (isQuiet)
        for (const end = performance.now() + SLICE_MS; performance.now() < end; ) if (work.next().done) return;
      next = setTimeout(step, isQuiet ? REST_MS : QUIET_MS).unref();
    } catch (error) {
      // the device works without a warm-up
      options.log.verbose(`warming up: ${(error as Error).message}`);
    }
  };
  let next = setTimeout(step, START_AFTER_MS).unref();
  return () => {
    clearTimeout(next);
    work.return(0);
  };
}

/**
 * Warms up, and yields after each round trip or similar amount of work. Closes its devices at the
 * end, also when the caller stops early.
 * @returns how many packets arrived
 */
export function* warmUp(options: WarmUpOptions): Generator<undefined, number> {
  const world = new World();
  const [a, b] = [new Side(options, world, ADDRESSES[0]), new Side(options, world, ADDRESSES[1])];
  a.meet(b);
  b.meet(a);
  const pings = [packet4(), packet6()];
  let arrived = 0;
  try {
    for (let session = 0; session < SESSIONS; session++, world.now += SESSION_PAUSE_MS) {
      for (let trip = 0; trip < ROUND_TRIPS; trip++, world.now += PING_PAUSE_MS) {
        for (const side of [a, b]) {
          const packets = trip % BURST_EVERY === BURST_EVERY - 1 ? BURST : 1;
          for (let packet = 0; packet < packets; packet++) side.tun.put(pings[trip & 1]!);
          // the first packet of a session waits for initiation and response
          world.run();
        }
        arrived += a.tun.written.splice(0).length + b.tun.written.splice(0).length;
        yield;
      }
    }
    for (let n = 0; n < CROWD; n++) {
      a.addStranger(n, options.random);
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
  return arrived;
}

/**
 * The clock and event loop of both devices. Time passes only between pings, and all of that time
 * counts as waiting, as in an idle event loop.
 */
class World {
  /** A fraction, as the system's clock has: V8's code for whole numbers would not do. */
  now = 1.5;
  readonly #due: Wake[] = [];
  readonly network = new MemoryNetwork(wake => this.schedule(wake));

  schedule(wake: Wake): void {
    this.#due.push(wake);
  }

  run(): void {
    for (let wake = this.#due.shift(); wake; wake = this.#due.shift()) wake(this.now);
  }
}

/** One device of the pair. */
class Side {
  readonly tun: MemoryTun;
  readonly loop: DeviceLoop;
  readonly #address: Uint8Array;
  readonly #publicKey: Uint8Array;

  constructor({ crypto, makeCipher, random, wall, log }: WarmUpOptions, world: World, address: Uint8Array) {
    this.#address = address;
    this.tun = new MemoryTun({ up: true, mtu: 1420, name: 'none' }, wake => world.schedule(wake));
    const privateKey = new Uint8Array(32);
    random(privateKey);
    this.#publicKey = crypto.publicKey(privateKey);
    this.loop = new DeviceLoop({
      engine: new Engine({ crypto, cipher: makeCipher(), random, wall, outputBytes: OUTPUT_BYTES }),
      tun: this.tun,
      openUdp: () => world.network.open([address], PORT),
      clock: { now: () => world.now, wall },
      log: { verbose: () => {}, error: text => log.error(text) },
      onGone: () => {},
    });
    this.loop.start();
    this.loop.configure({ privateKey });
  }

  meet(other: Side): void {
    const allowedIps = [new Uint8Array(4), new Uint8Array(16)].map(any => ({ prefix: makePrefix(any, 0) }));
    const endpoint = makeEndpoint(other.#address, PORT);
    this.loop.configure({ peers: [{ publicKey: other.#publicKey, endpoint, allowedIps }] });
  }

  /** Adds a peer that never sends. */
  addStranger(number: number, random: (bytes: Uint8Array) => void): void {
    const publicKey = new Uint8Array(32);
    random(publicKey);
    const allowedIps = [
      { prefix: makePrefix(Uint8Array.of(192, 0, 2, number), 32) },
      { prefix: makePrefix(Uint8Array.of(198, 51, 100, 4 * number), 30) },
      { prefix: makePrefix(Uint8Array.of(0x20, 0x01, 0x0d, 0xb8, 0, 0, 0, number, 0, 0, 0, 0, 0, 0, 0, 0), 64) },
    ];
    this.loop.configure({ peers: [{ publicKey, endpoint: makeEndpoint(ADDRESSES[1], PORT), allowedIps }] });
  }
}

/**
 * Returns a packet with the fields that an engine reads: version, length, addresses (from RFC 5737
 * and RFC 3849).
 */
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
