// Makes one TCP transfer with a SHA-256 at each end, for the demo and the network tests.
//
// - `receive ADDRESS` accepts one connection on a free port; prints "port N", then {digest, bytes,
//   seconds}
// - `send ADDRESS PORT BYTES` sends that many pseudo-random bytes; prints {digest, bytes, seconds}
import { createCipheriv, createHash, randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { realpathSync } from 'node:fs';
import { createConnection, createServer } from 'node:net';
import { fileURLToPath } from 'node:url';

const CHUNK = 256 * 1024;

if (process.argv[1] && realpathSync(process.argv[1]) === fileURLToPath(import.meta.url)) await main();

/**
 * Accepts one connection. Resolves once the port is open.
 * @returns the port, and `done`: a promise of {digest, bytes, seconds}
 */
export async function receive(address) {
  const server = createServer({ allowHalfOpen: true });
  const done = once(server, 'connection').then(async ([socket]) => {
    server.close();
    const hash = createHash('sha256');
    const start = process.hrtime.bigint();
    let bytes = 0;
    for await (const chunk of socket.iterator({ destroyOnReturn: false })) {
      hash.update(chunk);
      bytes += chunk.length;
    }
    const report = reportOf(hash, bytes, start);
    socket.end();
    return report;
  });
  // The caller handles the error when it awaits `done`.
  done.catch(() => {});
  server.listen(0, address);
  await once(server, 'listening');
  return { port: server.address().port, done };
}

/**
 * Sends `size` pseudo-random bytes, or fewer if that takes longer than `limitMs`.
 * @returns {digest, bytes, seconds}
 */
export async function send(address, port, size, limitMs = Number.POSITIVE_INFINITY) {
  // A keystream is random enough, and can be made faster than it can be sent.
  const stream = createCipheriv('aes-128-ctr', randomBytes(16), randomBytes(16));
  const zeros = Buffer.alloc(CHUNK);
  const hash = createHash('sha256');
  const socket = createConnection({ host: address, port });
  await once(socket, 'connect');
  const ended = once(socket, 'end');
  socket.resume();
  const start = process.hrtime.bigint();
  const end = performance.now() + limitMs;
  let left = size;
  while (left > 0 && performance.now() < end) {
    const chunk = stream.update(left < CHUNK ? zeros.subarray(0, left) : zeros);
    hash.update(chunk);
    left -= chunk.length;
    if (!socket.write(chunk)) await Promise.race([once(socket, 'drain'), ended]);
  }
  socket.end();
  await ended;
  return reportOf(hash, size - left, start);
}

async function main() {
  const [mode, address, port, size] = process.argv.slice(2);
  if (mode === 'receive') {
    const { port, done } = await receive(address);
    console.log(`port ${port}`);
    console.log(JSON.stringify(await done));
  } else if (mode === 'send') console.log(JSON.stringify(await send(address, Number(port), Number(size))));
  else throw new Error('usage: transfer.mjs receive ADDRESS | send ADDRESS PORT BYTES');
}

function reportOf(hash, bytes, start) {
  const seconds = Number(process.hrtime.bigint() - start) / 1e9;
  return { digest: hash.digest('hex'), bytes, seconds };
}
