// A pod that speaks to all others: every INTERVAL ms a small datagram to each, and what comes from others is noted.
// Arguments: the own address, the interval in milliseconds, and a file with the addresses of all, one a line, read again as it grows. Prints a line of JSON for each silence of a sender that ended
// ({"from", "start", "end"}: milliseconds of the epoch), and every 100 ms the time of the last datagram of each sender ({"last": {...}}).
import { createSocket } from 'node:dgram';
import { readFileSync } from 'node:fs';

const PORT = 7777;
const IDLE_AFTER_MS = 150;
const [own, interval, file] = process.argv.slice(2);
const socket = createSocket({ type: own.includes(':') ? 'udp6' : 'udp4' });
const last = {};
const count = {};
const say = what => process.stdout.write(`${JSON.stringify(what)}\n`);
const ofOurs = address => address !== '' && address !== own && address.includes(':') === own.includes(':');
const read = () => readFileSync(file, 'utf8').split('\n').filter(ofOurs);
let others = read();
const payload = Buffer.from(`from ${own}`);

socket.on('error', () => {});
socket.on('message', (_message, { address: from }) => {
  const now = Date.now();
  if (last[from] !== undefined && now - last[from] > IDLE_AFTER_MS) say({ from, start: last[from], end: now });
  last[from] = now;
  count[from] = (count[from] ?? 0) + 1;
});
socket.bind(PORT, own, () => {
  say({ ready: own });
  setInterval(() => {
    for (const other of others) socket.send(payload, PORT, other, () => {});
  }, Number(interval));
  setInterval(() => {
    others = read();
    say({ last, count });
  }, 100);
});
