// Installs the cross compiler of native/prebuilt: one version of zig from PyPI, whose wheels are
// pinned by hash.
import { spawnSync } from 'node:child_process';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { installedOnce } from './cache.mjs';

const VERSION = '0.16.0';
/** The hashes of the wheels for Linux on x86-64 and on arm64. */
const HASHES = [
  '9fcda73f62b851dd72a54b710ad40a209896db14cfb13649e62191243556342b',
  'e27d409812b11e0fb89ed0200cf2e55b6464d43f9461553104e4a4f9a94a1fd5',
];
export const COMPILER = `ziglang ${VERSION}`;

/**
 * Installs the compiler into the user's cache folder, unless it exists.
 * @returns the path of the program zig
 * @throws Error if pip is missing or fails
 */
export function zig() {
  return installedOnce(`ziglang-${VERSION}`, 'ziglang/zig', folder => {
    const requirements = join(folder, 'requirements.txt');
    const hashes = HASHES.map(hash => `--hash=sha256:${hash}`).join(' ');
    writeFileSync(requirements, `ziglang==${VERSION} ${hashes}\n`);
    const options = [
      '--quiet',
      '--disable-pip-version-check',
      '--root-user-action=ignore',
      '--no-deps',
      '--no-compile',
      '--only-binary',
      ':all:',
    ];
    const args = ['-m', 'pip', 'install', ...options, '--require-hashes', '--target', folder, '-r', requirements];
    const { status, error } = spawnSync('python3', args, { stdio: ['ignore', 2, 2] });
    if (error || status !== 0)
      throw new Error(
        `${COMPILER} could not be installed${error ? ` (${error.message})` : ''}; it needs pip (apt-get install python3-pip) and PyPI`,
      );
  });
}
