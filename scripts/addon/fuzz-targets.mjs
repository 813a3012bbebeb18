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
const OFFLOAD = ['offload.c', 'sum.c'];

export const TARGETS = {
  split: { native: OFFLOAD, own: [], replaces: [] },
  merge: { native: [...OFFLOAD, 'coalesce.c'], own: [PACKETS], replaces: [] },
  'key-table': { native: ['key-table.c'], own: [], replaces: ['mmap'] },
  cipher: { native: [...OFFLOAD, 'cipher.c', 'key-table.c', 'addon.c'], own: [PACKETS, NODE_API], replaces: [] },
  'udp-send': { native: ['udp-send.c', 'addon.c'], own: [NODE_API], replaces: ['sendmmsg', 'sendmsg', 'poll'] },
  'udp-receive': { native: ['udp-receive.c', 'addon.c'], own: [NODE_API], replaces: ['recvmmsg'] },
  'tun-write': {
    native: [...OFFLOAD, 'tun-write.c', 'coalesce.c', 'addon.c'],
    own: [PACKETS, NODE_API],
    replaces: ['writev'],
  },
  rights: {
    native: ['rights.c', 'addon.c'],
    own: [NODE_API],
    replaces: ['socket', 'connect', 'setsockopt', 'close', 'poll', 'clock_gettime', 'recvmsg', 'sendmsg'],
  },
  netlink: {
    native: ['netlink.c', 'addon.c'],
    own: [NODE_API],
    replaces: ['socket', 'setsockopt', 'bind', 'close', 'recvfrom'],
  },
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
