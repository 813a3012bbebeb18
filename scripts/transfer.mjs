// One TCP transfer with a SHA-256 at each end, for the demo and the network tests.
//   receive ADDRESS            takes one connection on a free port; prints "port N", then {digest, bytes, seconds}
//   send ADDRESS PORT BYTES    sends that many pseudo-random bytes, prints {digest, bytes, seconds}
import { createCipheriv, createHash, randomBytes } from 'node:crypto';
import { createConnection, createServer } from 'node:net';

const CHUNK = 256 * 1024;

const [mode, address, port, size] = process.argv.slice(2);
if (mode === 'receive') receive();
else if (mode === 'send') send(Number(port), Number(size));
else throw new Error('usage: transfer.mjs receive ADDRESS | send ADDRESS PORT BYTES');

function receive() {
  const server = createServer({ allowHalfOpen: true }, socket => {
    server.close();
    const hash = createHash('sha256');
    const start = process.hrtime.bigint();
    let bytes = 0;
    socket.on('data', chunk => {
      hash.update(chunk);
      bytes += chunk.length;
    });
    socket.once('end', () => {
      report(hash, bytes, start);
      socket.end();
    });
    socket.once('error', fail);
  });
  server.listen(0, address, () => console.log(`port ${server.address().port}`));
}

function send(port, size) {
  // A keystream is as random as is needed, and made faster than it can be sent.
  const stream = createCipheriv('aes-128-ctr', randomBytes(16), randomBytes(16));
  const zeros = Buffer.alloc(CHUNK);
  const hash = createHash('sha256');
  const socket = createConnection({ host: address, port });
  socket.once('error', fail);
  socket.once('connect', () => {
    const start = process.hrtime.bigint();
    let left = size;
    const write = () => {
      while (left > 0) {
        const chunk = stream.update(left < CHUNK ? zeros.subarray(0, left) : zeros);
        hash.update(chunk);
        left -= chunk.length;
        if (!socket.write(chunk)) return;
      }
      socket.off('drain', write).end();
    };
    socket.on('drain', write);
    write();
    socket.resume();
    socket.once('end', () => report(hash, size, start));
  });
}

function report(hash, bytes, start) {
  const seconds = Number(process.hrtime.bigint() - start) / 1e9;
  console.log(JSON.stringify({ digest: hash.digest('hex'), bytes, seconds }));
}

function fail(error) {
  console.error(error.message);
  process.exit(1);
}
