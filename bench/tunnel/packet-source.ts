/**
 * This program sends UDP datagrams of SIZE bytes to ADDRESS:PORT, RATE per second (0 means
 * unlimited), for SECONDS, and prints as JSON how many it sent. iperf3 needs one system call per
 * datagram, so it reaches its limit before the tunnel does. This program sends 64 datagrams per
 * system call, each as a separate packet, without segmentation offload.
 */
import { ENDPOINT_SIZE, parseEndpoint } from '#dist/base/endpoint.js';
import { nativeBinding } from '#dist/io/native-binding.js';
import { openNativeUdp } from '#dist/io/udp.js';
import { DATAGRAM_LENGTH, DATAGRAM_OFFSET, DATAGRAM_STRIDE, makeDatagramBatch } from '#dist/packet/batch.js';

export interface SourceReport {
  readonly sent: number;
  readonly seconds: number;
}

const BURST = 64;
/** Milliseconds between checks of the clock. */
const PAUSE_MS = 0.2;

const [target, sizeText, rateText, secondsText] = process.argv.slice(2) as [string, string, string, string];
const endpoint = parseEndpoint(target);
if (!endpoint) throw new Error(`${target} is not an address with a port`);
const size = Number(sizeText);
const rate = Number(rateText);
const seconds = Number(secondsText);

const udp = openNativeUdp(nativeBinding(), 0, 0, 0);
const batch = makeDatagramBatch(BURST * size, BURST);
for (let i = 0; i < BURST; i++) {
  batch.desc[i * DATAGRAM_STRIDE + DATAGRAM_OFFSET] = i * size;
  batch.desc[i * DATAGRAM_STRIDE + DATAGRAM_LENGTH] = size;
  batch.endpoints.set(endpoint, i * ENDPOINT_SIZE);
}

const nothing = new Int32Array(new SharedArrayBuffer(4));
const begun = performance.now();
let sent = 0;
let elapsed = 0;
for (; elapsed < seconds * 1000; elapsed = performance.now() - begun) {
  const due = rate === 0 ? BURST : Math.min(BURST, Math.floor((elapsed / 1000) * rate) - sent);
  if (due <= 0) {
    Atomics.wait(nothing, 0, 0, PAUSE_MS);
    continue;
  }
  batch.count = due;
  udp.send(batch);
  sent += due;
}
udp.close();
console.log(JSON.stringify({ sent, seconds: elapsed / 1000 } satisfies SourceReport));
