// A pod that exchanges numbered datagrams with all others. Arguments: its own address, milliseconds
// between two datagrams to each, and a file with the addresses of all pods, one per line, which it
// reads again as it grows. It begins at SIGUSR2 and stops at the next one. At SIGTERM it prints a
// line of JSON and ends: {"sent": {TO: COUNT}, "received": {FROM: {"count", "doubled", "longest"}},
// "overflows"}. `longest` is the longest pause in milliseconds between two datagrams;
// `overflows` counts datagrams that the receiver's own socket had no room for.
import { createSocket } from 'node:dgram';
import { readFileSync } from 'node:fs';

const PORT = 7778;
const SIZE = 64;
const MOST = 1 << 20;
const BUFFER = 4 << 20;
const [own, interval, file] = process.argv.slice(2);
const sent = {};
const received = {};
const socket = createSocket({ type: own.includes(':') ? 'udp6' : 'udp4', recvBufferSize: BUFFER });
const read = () =>
  readFileSync(file, 'utf8')
    .split('\n')
    .filter(other => other !== '' && other !== own);
let timer;

socket.on('error', () => {});
socket.on('message', (message, { address: from }) => {
  const now = performance.now();
  received[from] ??= { seen: new Uint8Array(MOST), count: 0, doubled: 0, last: now, longest: 0 };
  const one = received[from];
  const number = message.readUInt32BE(0) % MOST;
  if (one.seen[number]++ > 0) one.doubled++;
  else one.count++;
  one.longest = Math.max(one.longest, now - one.last);
  one.last = now;
});
process.on('SIGUSR2', () => {
  if (timer) clearInterval(timer);
  else {
    const others = read();
    timer = setInterval(() => {
      for (const other of others) {
        sent[other] ??= 0;
        const message = Buffer.alloc(SIZE);
        message.writeUInt32BE(sent[other]++, 0);
        socket.send(message, PORT, other, () => {});
      }
    }, Number(interval));
  }
});
process.on('SIGTERM', () => {
  const ends = Object.entries(received).map(([from, { count, doubled, longest }]) => [
    from,
    { count, doubled, longest },
  ]);
  const report = { sent, received: Object.fromEntries(ends), overflows: overflows() };
  process.stdout.write(`${JSON.stringify(report)}\n`, () => process.exit(0));
});
socket.bind(PORT, own, () => process.stdout.write('{"ready":true}\n'));

/** The last column of /proc/net/udp counts datagrams that a socket had no room for. */
function overflows() {
  const port = PORT.toString(16).toUpperCase();
  const lines = readFileSync(own.includes(':') ? '/proc/net/udp6' : '/proc/net/udp', 'utf8').split('\n');
  const line = lines.find(each => each.trim().split(/\s+/)[1]?.endsWith(`:${port}`));
  return Number(line?.trim().split(/\s+/).at(-1) ?? 0);
}
