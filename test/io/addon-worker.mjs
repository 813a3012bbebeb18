// The program of addon-workers.test.ts: uses the addon in worker threads only. The main thread
// never loads it.
//
//   node addon-worker.mjs ADDON in-turn|at-once|terminate|exit COUNT
//
// Each worker calls functions that make threads, memory and descriptors, and leaves all of them
// open. Prints one line of JSON at the end.
import { createPrivateKey, createPublicKey, diffieHellman } from 'node:crypto';
import { readdirSync, readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { fileURLToPath } from 'node:url';
import { isMainThread, parentPort, Worker, workerData } from 'node:worker_threads';

const KEYS = 64;
const PKCS8 = Buffer.from('302e020100300506032b656e04220420', 'hex');
const SPKI = Buffer.from('302a300506032b656e032100', 'hex');

if (isMainThread) await main(process.argv[2], process.argv[3], Number(process.argv[4]));
else work(workerData);

async function main(addon, how, count) {
  await ended(begin(addon, 'once')); // what a process makes once and keeps: helper threads, Node's own descriptors
  const before = state();
  const results = [];
  if (how === 'in-turn') for (let i = 0; i < count; i++) results.push(await ended(begin(addon, 'once')));
  else if (how === 'at-once')
    results.push(...(await Promise.all(Array.from({ length: count }, () => ended(begin(addon, 'once'))))));
  else
    for (let i = 0; i < count; i++) {
      const worker = begin(addon, 'for ever');
      await new Promise((resolve, reject) => worker.once('message', resolve).once('error', reject));
      if (how === 'exit') continue;
      await worker.terminate();
      results.push('terminated');
    }
  console.log(JSON.stringify({ results, before, after: state() }));
  if (how === 'exit') process.exit(0);
}

function begin(addon, how) {
  return new Worker(fileURLToPath(import.meta.url), { workerData: { addon, how } });
}

/** What it said; 'nothing' if it ended without a word. */
function ended(worker) {
  return new Promise((resolve, reject) => {
    let said = 'nothing';
    worker.on('message', message => {
      said = message;
    });
    worker.once('error', reject).once('exit', () => resolve(said));
  });
}

function state() {
  const devices = readFileSync('/proc/self/net/dev', 'latin1').split('worker').length - 1;
  return { devices, descriptors: readdirSync('/proc/self/fd').length, threads: readdirSync('/proc/self/task').length };
}

function work({ addon, how }) {
  const native = createRequire(import.meta.url)(addon);
  const tun = native.tunOpen('worker%d', -1, 15, 0);
  const udp = native.udpOpen(0, 0, 7);
  const netlink = native.netlinkOpen(0, new Int32Array(0));
  const notices = native.noticesOpen(3);
  const polls = [
    native.tunFd(tun),
    native.udpInfo(udp).fd4,
    native.udpInfo(udp).handshakes4,
    native.netlinkFd(netlink),
    native.noticesFd(notices),
  ].map(fd => native.pollStart(fd, () => {}));
  const cipher = native.cipherCreate('openssl') ?? native.cipherCreate(native.cipherProviders()[0].name);
  native.cipherSetKey(cipher, 70_000, new Uint8Array(32).fill(1));
  const lanes = native.lanesOpen(cipher, 4);
  const jobs = new Int32Array(8 * 700);
  for (let i = 0; i < 700; i++) jobs.set([i * 1400, 1400, 70_000, i], i * 8);
  const slab = new Uint8Array(1 << 20);
  // their threads may be at work when this thread ends
  const lent = Array.from({ length: 4 }, () => jobs.slice());
  for (const each of lent) native.lanesUnseal(lanes, slab, each, 700);
  const held = [
    tun,
    udp,
    netlink,
    notices,
    cipher,
    lanes,
    slab,
    lent,
    ...polls,
    native.blake2sOpen(),
    native.aeadState(),
  ];
  share(native);
  parentPort.postMessage('right');
  if (how === 'for ever') for (;;) share(native);
  // what is being polled keeps a thread alive
  for (const poll of polls) native.pollStop(poll);
  if (held.includes(undefined)) throw new Error('a handle is missing');
}

/** Many multiplications at once, on the helper threads too. @throws Error for a wrong one */
function share(native) {
  const own = crypto.getRandomValues(new Uint8Array(32));
  const key = native.x25519Key(Uint8Array.from(own));
  const publics = new Uint8Array(32 * KEYS);
  const secrets = Array.from({ length: KEYS }, () => crypto.getRandomValues(new Uint8Array(32)));
  for (const [i, secret] of secrets.entries()) {
    publics.set(secret, 32 * i);
    native.x25519Key(publics.subarray(32 * i, 32 * i + 32));
  }
  native.x25519Shared(key, publics, KEYS);
  native.x25519Erase(key);
  // the last one by node:crypto: our key's public half, and their secret
  const privateKey = createPrivateKey({ key: Buffer.concat([PKCS8, secrets[KEYS - 1]]), format: 'der', type: 'pkcs8' });
  const spki = createPublicKey(
    createPrivateKey({ key: Buffer.concat([PKCS8, own]), format: 'der', type: 'pkcs8' }),
  ).export({ format: 'der', type: 'spki' });
  if (!spki.subarray(0, SPKI.length).equals(SPKI)) throw new Error('not an X25519 key');
  const publicKey = createPublicKey({ key: spki, format: 'der', type: 'spki' });
  const expected = diffieHellman({ privateKey, publicKey });
  if (!expected.equals(publics.subarray(-32))) throw new Error('a wrong shared secret');
}
