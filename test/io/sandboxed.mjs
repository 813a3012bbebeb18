// The program of sandboxed.test.ts: confines itself as a device does, then makes system calls that
// an attacker in the process would make, and things that Node itself still has to do.
//
//   node sandboxed.mjs RAW-CALL-ADDON confined|verbose|twice|free CALLS
//
// CALLS is a JSON list of [number, ...arguments]; a text stands for a pointer to its bytes. The
// number -32 stands for getpid(2) of the 32-bit ABI. Prints one line of JSON.
import { spawnSync } from 'node:child_process';
import { createHash, pbkdf2Sync } from 'node:crypto';
import { readdirSync, readFileSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { createRequire } from 'node:module';
import { isMainThread, parentPort, Worker } from 'node:worker_threads';
import { confine } from '#dist/daemon/confine.js';
import { CAP_NET_ADMIN, dropPrivileges } from '#dist/io/sandbox.js';

const MINIMUM_THREADS = 4;

if (isMainThread) await main(process.argv[2], process.argv[3], JSON.parse(process.argv[4]));
else parentPort.postMessage(createHash('sha256').update('worker').digest('hex').length);

async function main(addon, how, calls) {
  const { call, call32 } = createRequire(import.meta.url)(addon);
  await readFile('/proc/self/stat'); // starts the threads of libuv's pool
  const logged = [];
  const log = { verbose() {}, error: text => logged.push(`error: ${text}`), notice: text => logged.push(text) };
  if (how === 'confined' || how === 'verbose') confine('on', log, how === 'verbose');
  if (how === 'twice') {
    confine('on', log, false);
    confine('on', log, false);
  }
  const results = calls.map(([number, ...args]) =>
    number === -32
      ? call32(20)
      : call(number, ...args.map(arg => (typeof arg === 'string' ? Buffer.from(`${arg}\0`) : arg))),
  );
  const spawned = spawnSync('/bin/true');
  const worker = await new Promise((resolve, reject) => {
    new Worker(new URL(import.meta.url)).once('message', resolve).once('error', reject);
  });
  const works = {
    file: (await readFile('/proc/self/stat')).length > 0,
    crypto: pbkdf2Sync('a', 'b', 1000, 32, 'sha256').length,
    compiles: new Function('n', 'let s = 0; for (let i = 0; i < n; i++) s += i % 7; return s;')(1e6) > 0,
    worker,
  };
  const threads = readdirSync('/proc/self/task').flatMap(tid => {
    try {
      return [readFileSync(`/proc/self/task/${tid}/status`, 'latin1')];
    } catch {
      return []; // the worker's thread has just ended
    }
  });
  if (threads.length < MINIMUM_THREADS) throw new Error(`only ${threads.length} threads`);
  let again = '';
  if (how !== 'free')
    try {
      dropPrivileges([CAP_NET_ADMIN]);
    } catch (error) {
      again = error.code;
    }
  const fields = ['CapInh', 'CapPrm', 'CapEff', 'CapBnd', 'CapAmb', 'NoNewPrivs', 'Seccomp'];
  const status = [
    ...new Set(
      threads.map(text =>
        fields
          .map(name => `${name} ${/** @type {any} */ (new RegExp(`^${name}:\\s+(\\S+)$`, 'm').exec(text))?.[1]}`)
          .join(' '),
      ),
    ),
  ];
  console.log(
    JSON.stringify({ results, spawned: spawned.error?.code ?? spawned.status, works, status, logged, again }),
  );
}
