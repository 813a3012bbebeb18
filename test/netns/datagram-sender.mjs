// Sends the datagrams on standard input, one in hex a line, to ADDRESS PORT. With COUNT and
// MILLISECONDS it repeats them until COUNT are sent, spread over that time. Prints how many it sent
// in what time.
import { createSocket } from 'node:dgram';
import { readFileSync } from 'node:fs';

const [address, port, count, milliseconds = '0'] = process.argv.slice(2);
const datagrams = readFileSync(0, 'utf8')
  .split('\n')
  .slice(0, -1)
  .map(line => Buffer.from(line, 'hex'));
const total = Number(count ?? datagrams.length);
const socket = createSocket(address.includes(':') ? 'udp6' : 'udp4');
await new Promise(resolve => socket.bind(0, resolve));
socket.setBroadcast(true);
const start = performance.now();
let sent = 0;
for (let due = 0; sent < total; await new Promise(resolve => setTimeout(resolve, 2))) {
  const share = Number(milliseconds) === 0 ? 1 : Math.min(1, (performance.now() - start) / Number(milliseconds));
  due = Math.ceil(total * share);
  const batch = [];
  for (; sent < due; sent++)
    batch.push(
      new Promise(resolve => socket.send(datagrams[sent % datagrams.length], Number(port), address, () => resolve())),
    );
  await Promise.all(batch);
}
console.log(`sent ${sent} in ${Math.round(performance.now() - start)} ms`);
socket.close();
