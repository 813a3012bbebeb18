// The fuzz targets of test/fuzz/native: which C files of native/ each one runs, and which functions
// of the C library it replaces. Also compiles them, and reads their corpora.
import { spawn } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { headers, NATIVE, WARNINGS } from './recipe.mjs';

const FOLDER = fileURLToPath(new URL('../../test/fuzz/native', import.meta.url));
/** Files of test/fuzz/native that several targets share. */
const PACKETS = 'packets.c';
const NODE_API = 'node-api.c';
const NO_LANES = 'no-lanes.c';
const OFFLOAD = ['offload.c', 'sum.c'];

export const TARGETS = {
  split: { native: OFFLOAD, own: [], replaces: [] },
  merge: { native: [...OFFLOAD, 'coalesce.c', 'flow.c'], own: [PACKETS], replaces: [] },
  'key-table': { native: ['key-table.c'], own: [], replaces: ['mmap'] },
  cipher: {
    native: [...OFFLOAD, 'cipher.c', 'lane.c', 'key-table.c', 'addon.c'],
    own: [PACKETS, NODE_API, NO_LANES],
    replaces: [],
  },
  'udp-send': {
    native: ['udp-send.c', 'addon.c'],
    own: [NODE_API, NO_LANES],
    replaces: ['sendmmsg', 'sendmsg', 'poll'],
  },
  'udp-receive': { native: ['udp-receive.c', 'addon.c'], own: [NODE_API], replaces: ['recvmmsg'] },
  'tun-write': {
    native: [...OFFLOAD, 'tun-write.c', 'coalesce.c', 'flow.c', 'addon.c'],
    own: [PACKETS, NODE_API, NO_LANES],
    replaces: ['writev'],
  },
  rights: {
    native: ['rights.c', 'addon.c'],
    own: [NODE_API],
    replaces: ['socket', 'connect', 'setsockopt', 'close', 'poll', 'clock_gettime', 'recvmsg', 'sendmsg'],
  },
  sandbox: { native: ['sandbox.c', 'addon.c'], own: [NODE_API], replaces: ['syscall'] },
  privileges: {
    native: ['privileges.c', 'addon.c'],
    own: [NODE_API],
    replaces: [
      ...['prctl', 'syscall', 'opendir', 'readdir', 'closedir', 'fopen', 'fclose', 'nanosleep'],
      'clock_gettime',
    ],
  },
  notices: { native: ['notices.c', 'addon.c'], own: [NODE_API], replaces: ['socket', 'bind', 'close', 'recvfrom'] },
  notify: { native: ['notify.c', 'addon.c'], own: [NODE_API], replaces: ['socket', 'close', 'sendto'] },
  random: { native: ['random.c', 'addon.c'], own: [NODE_API], replaces: ['getrandom', 'clock_gettime'] },
  tun: {
    native: [
      ...OFFLOAD,
      'tun.c',
      'tun-offloads.c',
      'tun-status.c',
      'tun-quiet.c',
      'tun-persist.c',
      'tun-write.c',
      'coalesce.c',
      'flow.c',
      'tun-overlay.c',
      'addon.c',
    ],
    own: [NODE_API, NO_LANES],
    replaces: [
      ...['ioctl', 'socket', 'setsockopt', 'send', 'recv', 'open', 'read', 'readv', 'write', 'close'],
      'fcntl',
    ],
  },
  'tun-quiet': {
    native: ['tun-quiet.c'],
    own: [],
    replaces: ['ioctl', 'socket', 'setsockopt', 'send', 'recv', 'open', 'read', 'write', 'close'],
  },
  'udp-open': {
    native: ['udp.c', 'udp-adopt.c', 'udp-steer.c', 'udp-send.c', 'udp-receive.c', 'addon.c'],
    own: [NODE_API, NO_LANES],
    replaces: ['socket', 'bind', 'close', 'getsockname', 'getsockopt', 'setsockopt'],
  },
  netlink: {
    native: ['netlink.c', 'addon.c'],
    own: [NODE_API],
    replaces: ['socket', 'setsockopt', 'bind', 'close', 'recvfrom'],
  },
};

/** Files of native/ that no target runs, and why. */
export const WITHOUT_TARGET = {
  'aead.c': 'takes no input: its self-test is its own',
  'aead-ipsec-mb.c': 'passes the texts of cipher.c to libIPSec_MB',
  'aead-openssl.c': 'passes the texts of cipher.c to OpenSSL',
  'aead-openssl-parts.c': 'passes the texts of cipher.c to OpenSSL',
  'aead-providers.c': 'takes no input',
  'aead-single.c': 'passes bytes to OpenSSL, which only Node exports',
  'blake2s.c': 'passes bytes to OpenSSL, which only Node exports',
  'clock.c': 'takes no input',
  'file-lock.c': 'takes only a descriptor',
  'kernel-log.c': 'passes bytes of the kernel on',
  'lanes.c': 'takes no input; it is about threads, which test/io/lanes-threads.c drives',
  'lanes-work.c': 'passes jobs to lane.c, which a target runs; test/io/lanes-threads.c drives its threads',
  'lanes-node.c': 'passes arrays to lanes.c; the differential fuzz of the cipher goes through it',
  'libcrypto.c': 'takes no input',
  'module.c': 'takes no input',
  'offload-node.c': 'calls split and merge, which have targets, for tests and benchmarks alone',
  'poll.c': 'takes no input; it is about the order of callbacks in the loop of Node',
  'spin.c': 'takes only a number; it is about time',
  'secrecy.c': 'takes no input',
  'share-out.c': 'takes no input; it is about threads',
  'x25519.c': 'passes keys to OpenSSL, which only Node exports',
};

/**
 * Compiles a target with libFuzzer and both sanitizers.
 * @returns undefined, or what the compiler printed
 */
export function compileTarget(name, { compiler, program, native = NATIVE }) {
  const target = TARGETS[name];
  const args = [
    '-std=gnu11',
    '-g',
    '-O2',
    ...WARNINGS,
    '-Wno-unused-const-variable',
    '-fsanitize=fuzzer,address,undefined',
    '-fno-sanitize-recover=all',
    `-I${native}`,
    `-I${FOLDER}`,
    `-I${headers()}`,
    ...target.replaces.map(name => `-Wl,--wrap=${name}`),
    join(FOLDER, `${name}.c`),
    ...target.own.map(name => join(FOLDER, name)),
    ...target.native.map(name => join(native, name)),
    '-o',
    program,
  ];
  return new Promise(resolve => {
    const child = spawn(compiler, args, { stdio: ['ignore', 'ignore', 'pipe'] });
    let output = '';
    child.stderr.setEncoding('utf8').on('data', text => {
      output += text;
    });
    child.on('error', error => resolve(error.message));
    child.on('close', code => resolve(code === 0 ? undefined : output || `ended with ${code}`));
  });
}

/**
 * Returns the inputs of a target's corpus. Each line of the file is one input in hex, or a comment
 * after `#`.
 * @throws Error that names the line
 */
export function corpusOf(name) {
  return readFileSync(join(FOLDER, 'corpus', `${name}.hex`), 'utf8')
    .split('\n')
    .map(line => line.replace(/#.*/, '').trim())
    .filter(Boolean)
    .map(line => {
      if (!/^([0-9a-f]{2})+$/.test(line)) throw new Error(`corpus/${name}.hex: not hex: ${line}`);
      return Buffer.from(line, 'hex');
    });
}
