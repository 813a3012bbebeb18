// A pod that exchanges traffic with all others. Every INTERVAL ms it sends a small datagram to
// each, and it records the datagrams that it receives. Arguments: its own address, the interval in
// milliseconds, and a file with the addresses of all pods, one per line, which it reads again as
// the file grows. Prints a line of JSON for each silence of a sender that ended ({"from", "start",
// "end"}: milliseconds of the epoch), and every 100 ms the time of the last datagram of each sender
// ({"last": {...}}).
import { createSocket } from 'node:dgram';
import { readFileSync } from 'node:fs';

const PORT = 7777;
const IDLE_AFTER_MS = 150;
const [own, interval, file] = process.argv.slice(2);
const socket = createSocket({ type: own.includes(':') ? 'udp6' : 'udp4' });
const last = {};
const count = {};
const print = record => process.stdout.write(`${JSON.stringify(record)}\n`);
const isOther = address => address !== '' && address !== own && address.includes(':') === own.includes(':');
const read = () => readFileSync(file, 'utf8').split('\n').filter(isOther);
let others = read();
const payload = Buffer.from(`from ${own}`);

socket.on('error', () => {});
socket.on('message', (_message, { address: from }) => {
  const now = Date.now();
  if (last[from] !== undefined && now - last[from] > IDLE_AFTER_MS) print({ from, start: last[from], end: now });
  last[from] = now;
  count[from] = (count[from] ?? 0) + 1;
});
socket.bind(PORT, own, () => {
  print({ ready: own });
  setInterval(() => {
    for (const other of others) socket.send(payload, PORT, other, () => {});
  }, Number(interval));
  setInterval(() => {
    others = read();
    print({ last, count });
  }, 100);
});
