/**
 * This program counts the UDP datagrams of SIZE bytes that arrive at PORT. It prints the count when
 * its standard input ends.
 */
import { nativeBinding } from '#dist/io/native-binding.js';
import { openNativeUdp } from '#dist/io/udp.js';
import { DATAGRAM_LENGTH, DATAGRAM_STRIDE, makeDatagramBatch } from '#dist/packet/batch.js';

const RANGE = 1 << 16;
const RANGES = 64;
/** The number of consecutive reads before the event loop gets its turn. */
const ROUNDS = 32;

const [port, size] = process.argv.slice(2).map(Number) as [number, number];
const udp = openNativeUdp(nativeBinding(), port, 0, 0);
const batch = makeDatagramBatch(RANGES * RANGE, RANGES);
let received = 0;

udp.onReadable(() => {
  for (let round = 0; round < ROUNDS && udp.receive(batch) > 0; round++)
    for (let i = 0; i < batch.count; i++) if (batch.desc[i * DATAGRAM_STRIDE + DATAGRAM_LENGTH] === size) received++;
});
process.stdin.on('end', () => {
  udp.close();
  console.log(received);
});
process.stdin.resume();
console.log('ready');
