/**
 * This program sends the initiations in FILE to ADDRESS:PORT, with at most IN_FLIGHT of them
 * unanswered, until SECONDS have passed or all are sent. Prints as JSON how many were answered.
 * RESPONDER is the responder's public key in hex: if the responder demands a cookie, every later
 * message carries it.
 */
import { readFileSync } from 'node:fs';
import { ENDPOINT_SIZE, parseEndpoint } from '#dist/base/endpoint.js';
import { nativeBinding } from '#dist/io/native-binding.js';
import { openNativeUdp } from '#dist/io/udp.js';
import { DATAGRAM_LENGTH, DATAGRAM_OFFSET, DATAGRAM_STRIDE, makeDatagramBatch } from '#dist/packet/batch.js';
import { readU32le } from '#dist/packet/byte-order.js';
import { COOKIE_REPLY_RECEIVER, COOKIE_REPLY_SIZE } from '#dist/packet/cookie-reply.js';
import { INITIATION_SIZE } from '#dist/packet/initiation.js';
import { MESSAGE_COOKIE_REPLY, MESSAGE_RESPONSE } from '#dist/packet/message-type.js';
import { RESPONSE_RECEIVER, RESPONSE_SIZE } from '#dist/packet/response.js';
import { CookieHolder } from './cookie-holder.ts';

export interface InitiatorsReport {
  readonly answered: number;
  readonly lost: number;
  readonly cookies: number;
  readonly seconds: number;
  /** CPU time that this program used. */
  readonly cpuSeconds: number;
}

const RANGE = 1 << 16;
const RANGES = 64;
/** Milliseconds after which a message counts as lost. */
const LOST_AFTER_MS = 500;
const NEVER = 0;
const DONE = -1;

const [file, target, inFlightText, secondsText, responderHex] = process.argv.slice(2) as [
  string,
  string,
  string,
  string,
  string,
];
const messages = new Uint8Array(readFileSync(file));
const total = messages.length / INITIATION_SIZE;
const endpoint = parseEndpoint(target)!;
const window = Number(inFlightText);
const limit = Number(secondsText) * 1000;
const cookies = new CookieHolder(Buffer.from(responderHex, 'hex'));

const udp = openNativeUdp(nativeBinding(), 0, 0, 0);
const incoming = makeDatagramBatch(RANGES * RANGE, RANGES);
// Send messages from the buffer that they are in, without copies.
const outgoing = { ...makeDatagramBatch(0, window), slab: messages };
for (let i = 0; i < window; i++) outgoing.endpoints.set(endpoint, i * ENDPOINT_SIZE);

/** State of each message: NEVER, the time it was sent, or DONE. */
const sentAt = new Float64Array(total);
const waiting = new Set<number>();
/** Messages to send again with a cookie. */
const retries: number[] = [];
let next = 0;
let answered = 0;
let lost = 0;
let seenCookies = 0;

const begun = performance.now();
const watch = setInterval(countLost, LOST_AFTER_MS / 10);
udp.onReadable(receive);
fill();

function fill(): void {
  outgoing.count = 0;
  const now = performance.now();
  if (now - begun > limit || (next === total && waiting.size === 0 && retries.length === 0)) {
    finish();
    return;
  }
  while (waiting.size < window && (retries.length > 0 || next < total)) {
    const number = retries.pop() ?? next++;
    const offset = number * INITIATION_SIZE;
    cookies.addMac2(messages.subarray(offset, offset + INITIATION_SIZE), now);
    outgoing.desc[outgoing.count * DATAGRAM_STRIDE + DATAGRAM_OFFSET] = offset;
    outgoing.desc[outgoing.count * DATAGRAM_STRIDE + DATAGRAM_LENGTH] = INITIATION_SIZE;
    outgoing.count++;
    sentAt[number] = now;
    waiting.add(number);
  }
  if (outgoing.count > 0) udp.send(outgoing);
}

function receive(): void {
  if (udp.receive(incoming) === 0) return;
  for (let i = 0; i < incoming.count; i++) {
    const offset = incoming.desc[i * DATAGRAM_STRIDE + DATAGRAM_OFFSET]!;
    take(incoming.slab.subarray(offset, offset + incoming.desc[i * DATAGRAM_STRIDE + DATAGRAM_LENGTH]!));
  }
  fill();
}

function take(message: Uint8Array): void {
  if (message.length === RESPONSE_SIZE && message[0] === MESSAGE_RESPONSE) {
    const number = readU32le(message, RESPONSE_RECEIVER);
    if (number >= total || sentAt[number]! === NEVER || sentAt[number]! === DONE) return;
    sentAt[number] = DONE;
    waiting.delete(number);
    answered++;
  } else if (message.length === COOKIE_REPLY_SIZE && message[0] === MESSAGE_COOKIE_REPLY) {
    const number = readU32le(message, COOKIE_REPLY_RECEIVER);
    if (!waiting.delete(number)) return;
    seenCookies++;
    const offset = number * INITIATION_SIZE;
    if (cookies.take(message, messages.subarray(offset, offset + INITIATION_SIZE), performance.now()))
      retries.push(number);
    else lost++;
  }
}

function countLost(): void {
  const now = performance.now();
  for (const number of waiting)
    if (now - sentAt[number]! > LOST_AFTER_MS) {
      waiting.delete(number);
      lost++;
    }
  fill();
}

function finish(): void {
  clearInterval(watch);
  udp.close();
  const { user, system } = process.cpuUsage();
  const seconds = (performance.now() - begun) / 1000;
  const report: InitiatorsReport = { answered, lost, cookies: seenCookies, seconds, cpuSeconds: (user + system) / 1e6 };
  console.log(JSON.stringify(report));
}
