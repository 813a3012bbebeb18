/**
 * This program sends or receives UDP datagrams with numbers, of random sizes.
 *   send ADDRESS PORT RATE    until standard input ends; prints how many
 *   receive ADDRESS PORT      prints one line of JSON for each loss, double and pause, and at the end
 * Each datagram has its number and the time of sending, so the receiver knows when a lost one was
 * sent. Memory is bounded: only the last numbers are kept.
 */
import { createSocket } from 'node:dgram';

/** What the receiver prints. Times are Date.now(). */
export type NumberedLine =
  | { readonly kind: 'lost'; readonly count: number; readonly from: number; readonly to: number }
  | { readonly kind: 'doubled'; readonly at: number }
  | { readonly kind: 'pause'; readonly at: number; readonly length: number }
  | { readonly kind: 'total'; readonly received: number };

/** A number counts as lost when this many later ones have arrived. */
const WINDOW = 4096;
const PAUSE_MS = 50;
const SIZES = [16, 64, 200, 1000, 1372, 1372, 4000];

const [mode, address, port, rate] = process.argv.slice(2) as [string, string, string, string];
const socket = createSocket({ type: 'udp4', recvBufferSize: 4 << 20 });
process.stdin.resume();
if (mode === 'send') send(Number(rate));
else receive();

function send(perSecond: number): void {
  const begun = performance.now();
  let sent = 0;
  const bytes = Buffer.alloc(Math.max(...SIZES));
  const step = (): void => {
    const due = Math.floor(((performance.now() - begun) / 1000) * perSecond);
    // after a stall, no burst that a queue could not hold
    for (const end = Math.min(due, sent + 20); sent < end; sent++) {
      bytes.writeUInt32BE(sent);
      bytes.writeDoubleBE(Date.now(), 4);
      const size = SIZES[(sent * 2654435761) % SIZES.length]!;
      socket.send(Buffer.from(bytes.subarray(0, size)), Number(port), address, () => {});
    }
  };
  const timer = setInterval(step, 5);
  process.stdin.on('end', () => {
    clearInterval(timer);
    console.log(String(sent));
    socket.close();
  });
}

function receive(): void {
  /** The time of sending of each number that arrived, by number modulo WINDOW; 0: not yet. */
  const times = new Float64Array(WINDOW);
  let next = 0;
  let last = 0;
  let received = 0;
  let lost = { count: 0, from: 0, to: 0 };
  let lastKnown = Date.now();
  const say = (line: NumberedLine): void => console.log(JSON.stringify(line));
  const flush = (): void => {
    if (lost.count > 0) say({ kind: 'lost', ...lost });
    lost = { count: 0, from: 0, to: 0 };
  };
  /** Gives up the number that leaves the window. */
  const retire = (number: number): void => {
    const time = times[number % WINDOW]!;
    times[number % WINDOW] = 0;
    if (time !== 0) {
      if (lost.count > 0) lost.to = time;
      flush();
      lastKnown = time;
    } else {
      if (lost.count === 0) lost.from = lastKnown;
      lost.count++;
      lost.to = Date.now();
    }
  };
  socket.on('message', bytes => {
    const now = Date.now();
    const number = bytes.readUInt32BE();
    if (last > 0 && now - last > PAUSE_MS) say({ kind: 'pause', at: now, length: now - last });
    last = now;
    for (; next <= number; next++) if (next >= WINDOW) retire(next - WINDOW);
    if (number + WINDOW < next || times[number % WINDOW] !== 0) {
      say({ kind: 'doubled', at: now });
      return;
    }
    times[number % WINDOW] = bytes.readDoubleBE(4);
    received++;
  });
  socket.bind(Number(port), address, () => console.log('ready'));
  process.stdin.on('end', () => {
    for (let number = Math.max(0, next - WINDOW); number < next; number++) retire(number);
    flush();
    say({ kind: 'total', received });
    socket.close();
  });
}
