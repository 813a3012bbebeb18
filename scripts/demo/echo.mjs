// Sends and answers echoes over UDP. `ping` uses ICMP, which would need a raw socket. The payload
// comes back unchanged.
import { createSocket } from 'node:dgram';
import { once } from 'node:events';

const ECHO_PORT = 7;

/** Sends every datagram back. Resolves once the port is open. */
export async function serveEcho(address) {
  const socket = createSocket('udp4');
  socket.on('message', (bytes, { port, address }) => socket.send(bytes, port, address, () => {}));
  socket.bind(ECHO_PORT, address);
  await once(socket, 'listening');
}

/**
 * Sends `count` datagrams that contain `text`.
 * @returns the round-trip times in milliseconds of those answered within `waitMs` of the last one
 */
export async function echo({ address, count, text = 'echo', intervalMs, waitMs }) {
  const socket = createSocket('udp4');
  const sent = [];
  const times = [];
  const all = Promise.withResolvers?.() ?? resolvers();
  // Ignore the error of an unreachable host: only the missing answer counts.
  socket.on('error', () => {});
  socket.on('message', bytes => {
    const number = bytes.readUInt32BE(0);
    if (bytes.toString('latin1', 4) !== text || sent[number] === undefined || times[number] !== undefined) return;
    times[number] = performance.now() - sent[number];
    if (times.filter(time => time !== undefined).length === count) all.resolve();
  });
  socket.connect(ECHO_PORT, address);
  await once(socket, 'connect');
  for (let i = 0; i < count; i++) {
    const bytes = Buffer.alloc(4 + text.length);
    bytes.writeUInt32BE(i, 0);
    bytes.write(text, 4, 'latin1');
    sent[i] = performance.now();
    socket.send(bytes, () => {});
    if (i < count - 1) await later(intervalMs);
  }
  await Promise.race([all.promise, later(waitMs)]);
  socket.close();
  return times.filter(time => time !== undefined);
}

function resolvers() {
  const made = {};
  made.promise = new Promise(resolve => {
    made.resolve = resolve;
  });
  return made;
}

function later(milliseconds) {
  return new Promise(resolve => setTimeout(resolve, milliseconds));
}
