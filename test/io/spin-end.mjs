// The program of poll.test.ts: two thousand packets for which a thread waits awake, and then none.
// Prints its processor time in milliseconds for half a second after them. Usage: spin-end.mjs ADDON
import { createSocket } from 'node:dgram';
import { once } from 'node:events';
import { createRequire } from 'node:module';
import { setTimeout as sleep } from 'node:timers/promises';

const LONE = 2;
const native = createRequire(import.meta.url)(process.argv[2]);
const udp = native.udpOpen(0, 0, 0);
const { fd4, port } = native.udpInfo(udp);
const sender = createSocket('udp4').bind(0, '127.0.0.1');
await once(sender, 'listening');
const [slab, desc, endpoints] = [new Uint8Array(1 << 17), new Int32Array(64), new Uint8Array(256)];
native.spinLimit(200);
let left = 2000;
const poll = native.pollStart(fd4, () => {
  native.udpReceive(udp, 1, 1, slab, desc, endpoints);
  if (left-- > 0) sender.send('x', port, '127.0.0.1');
  return LONE;
});
sender.send('x', port, '127.0.0.1');
while (left > 0) await sleep(10);
await sleep(100);
const before = process.cpuUsage();
await sleep(500);
const { user, system } = process.cpuUsage(before);
console.log((user + system) / 1000);
native.pollStop(poll);
native.udpClose(udp);
sender.close();
