// Numbered UDP datagrams, to count which were lost or doubled, and how long none arrived.
//   numbered-traffic.mjs send ADDRESS PORT RATE      (ends at SIGTERM, prints how many)
//   numbered-traffic.mjs receive ADDRESS PORT SILENCE_MS  (ends at that silence after SIGTERM)
import { createSocket } from 'node:dgram';

const [mode, address, port, value] = process.argv.slice(2);
const socket = createSocket({ type: address.includes(':') ? 'udp6' : 'udp4', recvBufferSize: 32 << 20 });
if (mode === 'send') await send(Number(value));
else await receive(Number(value));

async function send(rate) {
  let isEnding = false;
  process.once('SIGTERM', () => {
    isEnding = true;
  });
  const start = performance.now();
  let sent = 0;
  socket.connect(Number(port), address);
  await new Promise(resolve => socket.once('connect', resolve));
  while (!isEnding) {
    const due = Math.ceil(((performance.now() - start) / 1000) * rate);
    const batch = [];
    // after a stall, do not make up for it in one burst that no queue could hold
    for (const end = Math.min(due, sent + rate / 100); sent < end; sent++) {
      const bytes = Buffer.alloc(100);
      bytes.writeUInt32BE(sent);
      batch.push(new Promise(resolve => socket.send(bytes, resolve)));
    }
    await Promise.all(batch);
    await new Promise(resolve => setTimeout(resolve, 1));
  }
  console.log(`sent ${sent}`);
  socket.close();
}

async function receive(silence) {
  let ending = Number.POSITIVE_INFINITY;
  process.once('SIGTERM', () => {
    ending = performance.now();
  });
  const seen = new Set();
  let doubled = 0;
  let longest = 0;
  let last = 0;
  socket.on('message', bytes => {
    const now = performance.now();
    if (last > 0) longest = Math.max(longest, now - last);
    last = now;
    const number = bytes.readUInt32BE();
    if (seen.has(number)) doubled++;
    seen.add(number);
  });
  await new Promise(resolve => socket.bind(Number(port), address, resolve));
  console.log('ready');
  while (!(performance.now() - Math.max(last, ending) > silence)) await new Promise(resolve => setTimeout(resolve, 50));
  console.log(JSON.stringify({ received: seen.size, doubled, longest: Math.round(longest * 10) / 10 }));
  socket.close();
}
