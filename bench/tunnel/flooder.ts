/**
 * This program sends initiations with a valid mac1 to ADDRESS:PORT, RATE per second for SECONDS. It
 * sends each from the next of a million source addresses (FLOOD_SOURCES, local to its namespace).
 * RESPONDER is the public key in hex. Everything except mac1 is random: an attacker who knows only
 * the public key can send such messages. Prints as JSON how many messages it sent and how long it
 * took.
 */
import { randomBytes } from 'node:crypto';
import { ENDPOINT_HAS_LOCAL, ENDPOINT_LOCAL, ENDPOINT_SIZE, parseEndpoint } from '#dist/base/endpoint.js';
import { createNativeCrypto } from '#dist/crypto/node/native.js';
import { opensslCrypto } from '#dist/crypto/node/openssl.js';
import { nativeBinding } from '#dist/io/native-binding.js';
import { openNativeUdp } from '#dist/io/udp.js';
import { DATAGRAM_LENGTH, DATAGRAM_OFFSET, DATAGRAM_STRIDE, makeDatagramBatch } from '#dist/packet/batch.js';
import { INITIATION_SIZE } from '#dist/packet/initiation.js';
import { CookieJar } from '#dist/protocol/cookie.js';
import { floodSource } from './flood-sources.ts';

export interface FloodReport {
  readonly sent: number;
  /** The number of sends that our own host refused. */
  readonly failed: number;
  readonly seconds: number;
}

const MESSAGES = 4096;
const BATCH = 64;

const [target, responderHex, rateText, secondsText] = process.argv.slice(2) as [string, string, string, string];
const rate = Number(rateText);
const total = rate * Number(secondsText);

const slab = new Uint8Array(randomBytes(MESSAGES * INITIATION_SIZE));
const jar = new CookieJar(createNativeCrypto(nativeBinding()) ?? opensslCrypto, Buffer.from(responderHex, 'hex'));
for (let i = 0; i < MESSAGES; i++) {
  const message = slab.subarray(i * INITIATION_SIZE, (i + 1) * INITIATION_SIZE);
  message.set([1, 0, 0, 0]);
  jar.addMacs(message, 0);
}

const udp = openNativeUdp(nativeBinding(), 0, 0, 0);
// Send messages from the buffer that they are in, without copies.
const batch = { ...makeDatagramBatch(0, BATCH), slab };
for (let i = 0; i < BATCH; i++) {
  batch.endpoints.set(parseEndpoint(target)!, i * ENDPOINT_SIZE);
  batch.endpoints[i * ENDPOINT_SIZE + ENDPOINT_HAS_LOCAL] = 1;
}

const begun = performance.now();
let sent = 0;
let failed = 0;
while (sent < total) {
  const due = Math.min(total, Math.floor(((performance.now() - begun) / 1000) * rate));
  // Busy-wait: a sender that sleeps wakes up milliseconds late and then sends a burst.
  if (due - sent < BATCH && due < total) continue;
  batch.count = Math.min(BATCH, due - sent);
  for (let i = 0; i < batch.count; i++, sent++) {
    batch.desc[i * DATAGRAM_STRIDE + DATAGRAM_OFFSET] = (sent % MESSAGES) * INITIATION_SIZE;
    batch.desc[i * DATAGRAM_STRIDE + DATAGRAM_LENGTH] = INITIATION_SIZE;
    batch.endpoints.set(floodSource(sent), i * ENDPOINT_SIZE + ENDPOINT_LOCAL);
  }
  failed += udp.send(batch);
}
udp.close();
const report: FloodReport = { sent, failed, seconds: (performance.now() - begun) / 1000 };
console.log(JSON.stringify(report));
