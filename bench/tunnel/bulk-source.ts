/**
 * This program sends UDP datagrams of an Ethernet packet's size to ADDRESS:PORT, BITS per second,
 * for SECONDS, in super-packets of 64 KiB: it takes a third of a core for 18 Gbit/s. Prints as JSON
 * how many bytes it sent, with the headers of IP and UDP.
 */
import { parseEndpoint } from '#dist/base/endpoint.js';
import { nativeBinding } from '#dist/io/native-binding.js';
import { openNativeUdp, UDP_OFFLOADS } from '#dist/io/udp.js';
import { DATAGRAM_LENGTH, DATAGRAM_SEGMENT, makeDatagramBatch } from '#dist/packet/batch.js';

export interface BulkReport {
  readonly bytes: number;
  readonly seconds: number;
}

/** Fills a packet of the tunnel's MTU, 1420 bytes. */
const PAYLOAD = 1392;
const HEADERS = 28;
const SEGMENTS = 46;
/** Milliseconds between checks of the clock. */
const PAUSE_MS = 0.05;

const [target, bitsText, secondsText] = process.argv.slice(2) as [string, string, string];
const udp = openNativeUdp(nativeBinding(), 0, 0, UDP_OFFLOADS.gso);
const batch = makeDatagramBatch(PAYLOAD * SEGMENTS, 1);
batch.desc[DATAGRAM_LENGTH] = PAYLOAD * SEGMENTS;
batch.desc[DATAGRAM_SEGMENT] = PAYLOAD;
batch.endpoints.set(parseEndpoint(target)!);
batch.count = 1;

const each = SEGMENTS * (PAYLOAD + HEADERS);
const perMs = Number(bitsText) / 8 / 1000;
const end = Number(secondsText) * 1000;
const nothing = new Int32Array(new SharedArrayBuffer(4));
const begun = performance.now();
let bytes = 0;
let elapsed = 0;
for (; elapsed < end; elapsed = performance.now() - begun) {
  if (bytes > elapsed * perMs) Atomics.wait(nothing, 0, 0, PAUSE_MS);
  else {
    udp.send(batch);
    bytes += each;
  }
}
udp.close();
console.log(JSON.stringify({ bytes, seconds: elapsed / 1000 } satisfies BulkReport));
