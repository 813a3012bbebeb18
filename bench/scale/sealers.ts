/**
 * The default program of main.ts: worker threads that seal packets with the addon, each with a
 * cipher of its own and nothing in common. It shows the best that any division of work can reach
 * there.
 */
import { once } from 'node:events';
import { isMainThread, Worker, workerData } from 'node:worker_threads';
import { nativeBinding } from '#dist/io/native-binding.js';
import { createNativeCipher } from '#dist/io/native-cipher.js';
import { VNET_HEADER_SIZE } from '#dist/packet/batch.js';
import {
  SEAL_COUNT,
  SEAL_COUNTER_LOW,
  SEAL_LENGTH,
  SEAL_MTU,
  SEAL_OFFSET,
  SEAL_OUT_LENGTH,
  SEAL_OUT_OFFSET,
  SEAL_STRIDE,
} from '#dist/protocol/transport-cipher.js';
import { MTU, plainPacket } from '../micro/packets.ts';

const PACKETS = 64;
const STRIDE = 2048;
const SECONDS = 3;
/** Indexes of the shared words: how many threads are ready, and whether they may begin. */
const READY = 0;
const BEGUN = 1;

interface Shared {
  readonly words: Int32Array;
  /** Bytes that each thread has sealed. */
  readonly bytes: BigInt64Array;
  readonly index: number;
}

if (isMainThread) await control(Number(process.argv[2] ?? 1));
else work(workerData as Shared);

async function control(count: number): Promise<void> {
  const words = new Int32Array(new SharedArrayBuffer(8));
  const bytes = new BigInt64Array(new SharedArrayBuffer(8 * count));
  const file = new URL(import.meta.url);
  for (let index = 0; index < count; index++) new Worker(file, { workerData: { words, bytes, index } });
  while (Atomics.load(words, READY) < count) await new Promise(resolve => setTimeout(resolve, 5));
  process.stdout.write(`threads ${count}\n`);
  await once(process.stdin, 'data');
  Atomics.store(words, BEGUN, 1);
  Atomics.notify(words, BEGUN);
  const total = (): bigint => bytes.reduce((sum, _, i) => sum + Atomics.load(bytes, i), 0n);
  const [begun, before] = [performance.now(), total()];
  await new Promise(resolve => setTimeout(resolve, SECONDS * 1000));
  const rate = Number(total() - before) / ((performance.now() - begun) / 1000);
  process.stdout.write(`bytes/s ${Math.round(rate)}\n`, () => process.exit(0));
}

/** Seals until the process ends. */
function work({ words, bytes, index }: Shared): void {
  const cipher = createNativeCipher(nativeBinding());
  if (!cipher) throw new Error('the addon has no cipher that works here');
  cipher.setKey(0, new Uint8Array(32).fill(index + 1));
  const packet = plainPacket(MTU);
  const input = new Uint8Array(PACKETS * STRIDE);
  const output = new Uint8Array(PACKETS * STRIDE);
  const jobs = new Int32Array(PACKETS * SEAL_STRIDE);
  for (let n = 0; n < PACKETS; n++) {
    input.set(packet, n * STRIDE);
    const at = n * SEAL_STRIDE;
    jobs[at + SEAL_OFFSET] = n * STRIDE;
    jobs[at + SEAL_LENGTH] = packet.length;
    jobs[at + SEAL_COUNT] = 1;
    jobs[at + SEAL_OUT_OFFSET] = n * STRIDE;
    jobs[at + SEAL_MTU] = MTU;
  }
  let counter = 0;
  const batch = (): void => {
    for (let n = 0; n < PACKETS; n++) jobs[n * SEAL_STRIDE + SEAL_COUNTER_LOW] = counter++;
    cipher.seal(input, output, jobs, PACKETS);
    if (jobs[SEAL_OUT_LENGTH] === 0) throw new Error('the cipher refused a packet');
    Atomics.add(bytes, index, BigInt(PACKETS * (packet.length - VNET_HEADER_SIZE)));
  };
  batch();
  Atomics.add(words, READY, 1);
  Atomics.wait(words, BEGUN, 0);
  for (;;) batch();
}
