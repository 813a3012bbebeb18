/**
 * Times sealing and opening as the data path does them: batches of jobs, with every AEAD provider
 * of the addon and with the JavaScript twin.
 */
import { noblePacketAead } from '#dist/crypto/noble-packet-aead.js';
import { opensslPacketAead } from '#dist/crypto/node/openssl-packet-aead.js';
import { nativeBinding } from '#dist/io/native-binding.js';
import { createNativeCipher } from '#dist/io/native-cipher.js';
import { VNET_HEADER_SIZE } from '#dist/packet/batch.js';
import { TRANSPORT_HEADER_SIZE, TRANSPORT_OVERHEAD } from '#dist/packet/transport.js';
import {
  OPEN_COUNTER_LOW,
  OPEN_LENGTH,
  OPEN_OFFSET,
  OPEN_RESULT,
  OPEN_STRIDE,
  SEAL_COUNT,
  SEAL_COUNTER_LOW,
  SEAL_LENGTH,
  SEAL_MTU,
  SEAL_OFFSET,
  SEAL_OUT_LENGTH,
  SEAL_OUT_OFFSET,
  SEAL_OUT_SEGMENT,
  SEAL_STRIDE,
  type TransportCipher,
} from '#dist/protocol/transport-cipher.js';
import { TwinCipher } from '#dist/protocol/transport-twin.js';
import { type Contender, type Contest, concat, type Prepared, pattern, type Subject } from './contest.ts';
import { MTU, plainPacket, superPacket, TCP4 } from './packets.ts';

const SIZES = [64, 256, MTU];
/** The most packets that draining a TUN device may return at once. */
const PACKETS = 64;
const SUPER_PACKETS = 4;

interface Load {
  readonly name: string;
  /** The packets, each behind its vnet header. */
  readonly packets: readonly Uint8Array[];
  /** The number of messages per packet; `size` is the packet length in each message. */
  readonly segments: number;
  readonly size: number;
}

const { bytes: large, segments } = superPacket(TCP4);
const LOADS: readonly Load[] = [
  ...[1, PACKETS].flatMap(count =>
    SIZES.map(size => ({
      name: `${size} bytes, ${count} at once`,
      packets: Array<Uint8Array>(count).fill(plainPacket(size)),
      segments: 1,
      size,
    })),
  ),
  {
    name: `${SUPER_PACKETS} super-packets of ${segments} TCP segments`,
    packets: Array<Uint8Array>(SUPER_PACKETS).fill(large),
    segments,
    size: MTU,
  },
];

export const transport: Subject = {
  name: 'transport',
  title: 'Sealing and opening packets (with the time to split them)',
  unit: 'packet',
  contests: LOADS.flatMap(load => [sealing(load), opening(load)]),
};

function sealing(load: Load): Contest {
  return {
    name: `seal ${load.name}`,
    ...amount(load),
    prepare: () => ({ contenders: ciphers().map(([name, cipher]) => sealer(name, cipher, load)) }),
  };
}

function opening(load: Load): Contest {
  return {
    name: `open ${load.name}`,
    ...amount(load),
    prepare() {
      const all = ciphers();
      const first = sealer(...all[0]!, load);
      first.run();
      const sealed = first.result();
      const idle = sealed.slice();
      return {
        contenders: all.map(([name, cipher]) => opener(name, cipher, sealed, first.lengths())),
        // Opening in place overwrites the messages with plaintext, so every run starts from a copy.
        overhead: () => idle.set(sealed),
      } satisfies Prepared;
    },
  };
}

function amount({ packets, segments, size }: Load): { units: number; bytes: number } {
  const units = packets.length * segments;
  return { units, bytes: units * size };
}

/** Returns every provider that works on this machine, by name, with a key in slot 0. */
function ciphers(): [name: string, cipher: TransportCipher][] {
  const binding = nativeBinding();
  const usable = binding.cipherProviders().filter(({ problem }) => problem === undefined);
  const native = usable.map(({ name }) => createNativeCipher(binding, name)!);
  const twins = [opensslPacketAead, noblePacketAead].map(aead => new TwinCipher(aead));
  return [...native, ...twins].map(cipher => {
    cipher.setKey(0, pattern(32));
    return [cipher.name, cipher];
  });
}

interface Sealer extends Contender {
  /** Returns the lengths of the messages of the last run, in order. */
  lengths(): number[];
}

function sealer(name: string, cipher: TransportCipher, { packets, segments }: Load): Sealer {
  const input = concat(packets);
  // Each message adds its overhead, up to 16 bytes of padding, and a copy of the headers (at most
  // 60 bytes).
  const room = packets.map(packet => packet.length - VNET_HEADER_SIZE + segments * (TRANSPORT_OVERHEAD + 16 + 60));
  const output = new Uint8Array(room.reduce((sum, bytes) => sum + bytes, 0));
  const jobs = new Int32Array(packets.length * SEAL_STRIDE);
  let read = 0;
  let written = 0;
  for (const [i, packet] of packets.entries()) {
    const at = i * SEAL_STRIDE;
    jobs[at + SEAL_OFFSET] = read;
    jobs[at + SEAL_LENGTH] = packet.length;
    jobs[at + SEAL_COUNTER_LOW] = i * segments;
    jobs[at + SEAL_COUNT] = segments;
    jobs[at + SEAL_OUT_OFFSET] = written;
    jobs[at + SEAL_MTU] = MTU;
    read += packet.length;
    written += room[i]!;
  }
  return {
    name,
    run: () => cipher.seal(input, output, jobs, packets.length),
    result: () =>
      concat(
        packets.map((_, i) => {
          const start = jobs[i * SEAL_STRIDE + SEAL_OUT_OFFSET]!;
          const length = jobs[i * SEAL_STRIDE + SEAL_OUT_LENGTH]!;
          if (length === 0) throw new Error(`${name} refused to seal packet ${i}`);
          return output.subarray(start, start + length);
        }),
      ),
    lengths: () =>
      packets.flatMap((_, i) => {
        const segment = jobs[i * SEAL_STRIDE + SEAL_OUT_SEGMENT]!;
        const rest = jobs[i * SEAL_STRIDE + SEAL_OUT_LENGTH]! - (segments - 1) * segment;
        return [...Array<number>(segments - 1).fill(segment), rest];
      }),
  };
}

/** @param sealed consecutive messages, whose counters start from 0 */
function opener(name: string, cipher: TransportCipher, sealed: Uint8Array, lengths: readonly number[]): Contender {
  const slab = sealed.slice();
  const jobs = new Int32Array(lengths.length * OPEN_STRIDE);
  let offset = 0;
  for (const [i, length] of lengths.entries()) {
    jobs[i * OPEN_STRIDE + OPEN_OFFSET] = offset;
    jobs[i * OPEN_STRIDE + OPEN_LENGTH] = length;
    jobs[i * OPEN_STRIDE + OPEN_COUNTER_LOW] = i;
    offset += length;
  }
  return {
    name,
    run() {
      slab.set(sealed);
      cipher.open(slab, jobs, lengths.length);
    },
    result: () =>
      concat(
        lengths.map((_, i) => {
          const start = jobs[i * OPEN_STRIDE + OPEN_OFFSET]! + TRANSPORT_HEADER_SIZE;
          const length = jobs[i * OPEN_STRIDE + OPEN_RESULT]!;
          if (length < 0) throw new Error(`${name} refused to open message ${i}`);
          return slab.subarray(start, start + length);
        }),
      ),
  };
}
