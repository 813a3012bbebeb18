/**
 * Makes and drops each kind of the addon's handles, then ends: LeakSanitizer reports what is not
 * freed (scripts/test-sanitized.mjs). The argument is the addon's path.
 */
import { mkdtempSync, rmSync } from 'node:fs';
import { createRequire } from 'node:module';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

const native = createRequire(import.meta.url)(process.argv[2]);
const [cipher] = native.cipherProviders().filter(({ problem }) => problem === undefined);
const directory = mkdtempSync(join(tmpdir(), 'wgts-leaks-'));
let sockets = 0;
const listen = () => {
  const path = join(directory, `socket${++sockets}`);
  return { path, listener: native.rightsListen(path, 4) };
};
/** For each function that makes a handle: its arguments, and how to close the handle. */
const MAKERS = {
  tunOpen: [() => ['leaks%d', -1, 15, 0], tun => native.tunClose(tun)],
  tunAdopt: [() => adoptable(), tun => native.tunClose(tun)],
  udpOpen: [() => [0, 0, 7], udp => native.udpClose(udp)],
  udpAdopt: [
    () => [new Int32Array([native.rightsCopy(native.udpInfo(native.udpOpen(0, 0, 7)).fd4), -1, -1, -1]), 7],
    udp => native.udpClose(udp),
  ],
  clockAlarmOpen: [() => [], alarm => native.clockAlarmClose(alarm)],
  netlinkOpen: [() => [0, new Int32Array([1])], netlink => native.netlinkClose(netlink)],
  noticesOpen: [() => [3], notices => native.noticesClose(notices)],
  rightsListen: [() => [join(directory, `socket${++sockets}`), 4], rights => native.rightsClose(rights)],
  rightsConnect: [() => [listen().path], rights => native.rightsClose(rights)],
  rightsAccept: [() => connected(), rights => native.rightsClose(rights)],
  cipherCreate: [() => [cipher.name], handle => native.cipherSetKey(handle, 1, new Uint8Array(32))],
  lanesOpen: [() => [native.cipherCreate(cipher.name), 3], lanes => usedLanes(lanes)],
  // A poll keeps the process running until it is stopped.
  pollStart: [
    () => [native.netlinkFd(native.netlinkOpen(0, new Int32Array(0))), () => {}],
    poll => native.pollStop(poll),
  ],
  aeadState: [() => [], () => {}],
  blake2sOpen: [() => [], () => {}],
  x25519Key: [() => [new Uint8Array(32).fill(1)], key => native.x25519Erase(key)],
};
/** Lends a batch, so that the threads start, and closes. */
function usedLanes(lanes) {
  native.lanesUnseal(lanes, new Uint8Array(1 << 16), new Int32Array(80), 10);
  native.lanesClose(lanes);
}
/** Their names look as if they made a handle. */
const OTHERS = ['aeadOpen', 'cipherOpen', 'cipherSetKey', 'cipherEraseKey', 'cipherCopyKey', 'kernelLogOpen'];
const unknown = Object.keys(native).filter(
  name =>
    /(Open|Adopt|Listen|Connect|Accept|Create|Start|State|Key)$/.test(name) &&
    !(name in MAKERS) &&
    !OTHERS.includes(name),
);
if (unknown.length > 0) throw new Error(`${unknown.join(', ')}: add how to call it to ${import.meta.filename}`);

for (const [name, [args, close]] of Object.entries(MAKERS)) {
  if (!(name in native)) continue;
  for (const isClosed of [true, false]) {
    const handle = native[name](...args());
    if ((isClosed || name === 'pollStart') && handle !== undefined) close(handle);
  }
  // What was allocated before a failure is freed too.
  try {
    native[name](...args().map(() => -1));
  } catch {}
}
rmSync(directory, { recursive: true });
globalThis.gc();
console.log('all handles were dropped');

/** Returns the arguments that adopt a new TUN, whose first handle stays open. */
function adoptable() {
  const tun = native.tunOpen('leaks%d', -1, 15, 0);
  const kept = new Int32Array(4);
  native.tunKept(tun, kept);
  return [native.rightsCopy(native.tunFd(tun)), 15, kept];
}

/** Returns the argument that accepts a connection that waits. */
function connected() {
  const { path, listener } = listen();
  native.rightsConnect(path);
  return [listener];
}
