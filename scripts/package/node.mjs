// Fetches the official Node binaries for single executables, from the npm packages node-linux-ARCH.
import { spawnSync } from 'node:child_process';
import { join } from 'node:path';
import { pinnedFile } from './cache.mjs';

/** The current line with long-term support. Node 26 starts as fast, but is 23 MB larger. */
export const NODE_VERSION = '24.22.3';
const SHA256 = {
  x64: 'a7ec1b37e6ff9d187e4198c5b6df9a4eb1c74dd31804fb3bac55cc4ceca1ac01',
  arm64: '8f9c2a55879e9705cb285b6cdd649d95df642c6720f052cb30f300d2677da99f',
};

/** Returns the path of the Node binary for an architecture. */
export function officialNode(arch) {
  return pinnedFile({
    name: 'node',
    sha256: SHA256[arch],
    mode: 0o755,
    fetch(folder) {
      const name = `node-linux-${arch}`;
      const file = `${name}-${NODE_VERSION}.tgz`;
      run('npm', ['pack', '--silent', `${name}@${NODE_VERSION}`], folder);
      run('tar', ['xzf', file, 'package/bin/node'], folder);
      return join(folder, 'package/bin/node');
    },
  });
}

/** Runs a program and returns its output. @throws Error with the program's output if it fails */
export function run(program, args, cwd, env = process.env) {
  const { status, stdout, stderr, error } = spawnSync(program, args, { cwd, env, encoding: 'utf8' });
  if (error || status !== 0) throw new Error(`${program} ${args.join(' ')}: ${error?.message ?? `${stdout}${stderr}`}`);
  return stdout;
}
